package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The most memory by which hostile requests may make the server grow, and that it may have
// then: a Pod has 256 MiB. A slow connection takes some 40 KiB: the buffers of net/http, the
// stack of its goroutine and the state of TLS.
const (
	mostGrown     = 32 << 20
	mostGrownSlow = 64 << 20 // by 1,000 slow connections
	mostMemory    = 256 << 20
)

// testHostile sends one replica what nobody should, while somebody goes on asking
// as an API server does: that one is answered, and the server hardly grows.
func (s *service) testHostile(p *process) {
	if _, err := os.Stat("/proc/self/clear_refs"); err != nil {
		s.Skip("the peak of a process's memory is read from /proc, which this system does not have")
	}
	caller := s.https()
	usual := &usual{service: s, caller: caller, url: "https://" + p.Replica.Address + "/mutate",
		review: reviewOf(s, kaniko("usual", "v1"))}
	for range 3000 { // the memory that usual requests take
		usual.ask()
	}
	usual.tell("alone")
	for _, attack := range []struct {
		name string
		run  func(*process, *http.Client)
		most int64
	}{
		{"1,000 slow connections", s.sendSlowly, mostGrownSlow},
		{"a body of 200 MB", s.sendLarge, mostGrown},
		{"8 bodies of 7 MB", s.sendMany, mostGrown},
		{"JSON without end", s.sendNested, mostGrown},
		{"15,000 and 100,000 params", s.sendWide, mostGrown},
	} {
		before := s.resetPeak(p)
		ctx, cancel := context.WithCancel(s.Context())
		var asking sync.WaitGroup
		asking.Go(func() {
			for ctx.Err() == nil {
				usual.ask()
				time.Sleep(2 * time.Millisecond)
			}
		})
		attack.run(p, caller)
		time.Sleep(time.Second / 2) // for some usual requests more
		cancel()
		asking.Wait()
		grown := s.memory(p, "VmHWM") - before
		s.Logf("%s: the server grew by %.1f MiB, from %.1f", attack.name, float64(grown)/(1<<20),
			float64(before)/(1<<20))
		if grown >= attack.most || before+grown > mostMemory {
			s.Errorf("%s: the server grew by %d MiB from %d, and may by %d", attack.name, grown>>20, before>>20,
				attack.most>>20)
		}
		usual.tell(attack.name)
	}
}

// memory reads a figure of a process in bytes.
func (s *service) memory(p *process, figure string) int64 {
	s.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if digits, found := strings.CutPrefix(line, figure+":"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(digits), "kB")), 10, 64)
			if err != nil {
				s.Fatal(err)
			}
			return kib << 10
		}
	}
	s.Fatalf("process %d has no %s", p.PID(), figure)
	return 0
}

// resetPeak makes the peak what the process has now, and returns that.
func (s *service) resetPeak(p *process) int64 {
	s.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte("5"), 0); err != nil {
		s.Fatal(err)
	}
	return s.memory(p, "VmRSS")
}

// usual is who asks as usual.
type usual struct {
	*service
	caller *http.Client
	url    string
	review []byte
	took   []time.Duration
	failed []string
}

func (u *usual) ask() {
	began := time.Now()
	res, err := u.caller.Post(u.url, "application/json", bytes.NewReader(u.review))
	if err != nil {
		u.failed = append(u.failed, err.Error())
		return
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || !bytes.Contains(text, []byte(`"patch"`)) {
		u.failed = append(u.failed, fmt.Sprintf("%s: %v", res.Status, err))
	}
	u.took = append(u.took, time.Since(began))
}

// tell says how the requests fared since it told last.
func (u *usual) tell(what string) {
	u.Helper()
	slices.Sort(u.took)
	if len(u.took) < 5 || len(u.failed) > 0 {
		u.Errorf("%s: of %d usual requests these failed: %q", what, len(u.took)+len(u.failed), u.failed)
		return
	}
	p99 := u.took[len(u.took)*99/100]
	u.Logf("%s: %d usual requests were answered, p50 %s, p99 %s", what, len(u.took), u.took[len(u.took)/2], p99)
	if p99 > time.Second { // of the three that the API server waits
		u.Errorf("%s: p99 of the usual requests is %s", what, p99)
	}
	u.took, u.failed = nil, nil
}

// reviewOf is what the API server sends about a new object.
func reviewOf(s *service, text string) []byte {
	s.Helper()
	object, err := json.Marshal(s.parse(text).Object)
	if err != nil {
		s.Fatal(err)
	}
	return []byte(
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","namespace":"ci",` +
			`"kind":{"group":"tekton.dev","version":"v1","kind":"TaskRun"},"resource":{"group":"tekton.dev","version":"v1","resource":"taskruns"},"object":` + string(object) + `}}`)
}

// post sends a body and returns the status; 0 where the server closed the
// connection while the body was on its way, which it may.
func (s *service) post(p *process, caller *http.Client, body io.Reader, length int64) int {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "https://"+p.Replica.Address+"/mutate",
		body)
	if err != nil {
		s.Fatal(err)
	}
	request.ContentLength = length
	request.Header.Set("Content-Type", "application/json")
	res, err := caller.Do(request)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// sendLarge announces 200 MB, and then sends them unannounced.
func (s *service) sendLarge(p *process, caller *http.Client) {
	const size = 200 << 20
	for range 3 {
		for _, length := range []int64{size, -1} {
			sent := &counted{Reader: io.LimitReader(spaces{}, size)}
			if status := s.post(p, caller, sent, length); status != http.StatusRequestEntityTooLarge && status != 0 {
				s.Errorf("200 MB are answered with %d", status)
			}
			if sent.n > 16<<20 {
				s.Errorf("the server read %d bytes on", sent.n)
			}
		}
	}
}

// spaces is white space without end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// sendSlowly opens 1,000 connections: a third never greets, a third never ends its
// header, and a third never ends its body. All are closed by the server in time.
func (s *service) sendSlowly(p *process, _ *http.Client) {
	const connections = 1000
	beginnings := []string{
		"",
		"POST /mutate HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
	}
	var open sync.WaitGroup
	var mu sync.Mutex
	cut := 0
	for i := range connections {
		open.Go(func() {
			conn, err := net.Dial("tcp", p.Replica.Address)
			if err != nil {
				return
			}
			defer conn.Close()
			if trickle(conn, beginnings[i%len(beginnings)], 25*time.Second) {
				mu.Lock()
				defer mu.Unlock()
				cut++
			}
		})
	}
	open.Wait()
	if cut != connections {
		s.Errorf("%d of %d slow connections were closed by the server", cut, connections)
	}
}

// trickle sends a beginning, and then a byte a second. It reports whether the
// server closed the connection before the time was over.
func trickle(conn net.Conn, beginning string, most time.Duration) bool {
	deadline := time.Now().Add(most)
	if beginning != "" {
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // it does not come to trust
		if err := secure.SetDeadline(deadline); err != nil || secure.Handshake() != nil {
			return false
		}
		conn = secure
		if _, err := io.WriteString(conn, beginning); err != nil {
			return false
		}
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					_, _ = io.WriteString(conn, "a")
				}
			}
		}()
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		return false
	}
	_, err := io.Copy(io.Discard, conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// sendNested sends lists in lists, deeper than any decoder should follow, and as
// deep as it does.
func (s *service) sendNested(p *process, caller *http.Client) {
	for _, depth := range []int{3 << 20, 100_000, 9_000, 2_000} {
		nested := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		for _, body := range []string{nested, strings.Replace(string(reviewOf(s, kaniko("deep", "v1"))),
			`"taskSpec":{`, `"taskSpec":{"description":`+nested+`,`, 1)} {
			if status := s.post(p, caller, strings.NewReader(body), int64(len(body))); status != http.StatusOK &&
				status != http.StatusBadRequest {
				s.Errorf("JSON %d deep is answered with %d", depth, status)
			}
		}
	}
}

// sendWide sends objects that the API server would take, one of which has more values
// than are judged: both are answered, and the first is changed.
func (s *service) sendWide(p *process, caller *http.Client) {
	for _, count := range []int{15_000, 100_000} {
		params := strings.Repeat(`{"name":"p","value":"v"},`, count)
		body := strings.Replace(string(reviewOf(s, kaniko("wide", "v1"))), `"spec":{`,
			`"spec":{"params":[`+strings.TrimSuffix(params, ",")+`],`, 1)
		if status := s.post(p, caller, strings.NewReader(body), int64(len(body))); status != http.StatusOK {
			s.Errorf("%d params are answered with %d", count, status)
		}
	}
}

// sendMany sends the largest bodies that are taken at once, which together are more
// than is taken.
func (s *service) sendMany(p *process, caller *http.Client) {
	var sending sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for range 8 {
		sending.Go(func() {
			const size = 7 << 20
			status := s.post(p, caller, io.LimitReader(spaces{}, size), size)
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	sending.Wait()
	s.Logf("answers by status: %v", got)
	for status := range got {
		if status != http.StatusBadRequest && status != http.StatusTooManyRequests && status != 0 {
			s.Errorf("a body of 7 MB of nothing is answered with %d", status)
		}
	}
}
