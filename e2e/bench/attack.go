package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// client is what asks.
type client = *http.Client

// hostility is how long an attack may take.
const hostility = 5 * time.Second

// send posts a body and forgets the answer. The server may close the connection
// meanwhile.
func (t *target) send(ctx context.Context, body io.Reader, length int64) {
	ctx, cancel := context.WithTimeout(ctx, hostility)
	defer cancel()
	caller := t.caller(false)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, body)
	if err != nil {
		return
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", "application/json")
	res, err := caller.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
}

// sendLarge announces 200 MB, and then sends them unannounced: white space, which is
// the beginning of any JSON.
func sendLarge(ctx context.Context, t *target) {
	const size = 200 << 20
	for _, length := range []int64{size, -1} {
		t.send(ctx, io.LimitReader(spaces{}, size), length)
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

// sendSlowly opens 1,000 connections: a third never greets, a third never ends its
// header, and a third never ends its body.
func sendSlowly(ctx context.Context, t *target) {
	u, err := url.Parse(t.url)
	if err != nil {
		return
	}
	beginnings := []string{
		"",
		"POST " + u.Path + " HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"POST " + u.Path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
	}
	ctx, cancel := context.WithTimeout(ctx, hostility)
	defer cancel()
	var open sync.WaitGroup
	for i := range 1000 {
		open.Go(func() { trickle(ctx, u.Host, beginnings[i%len(beginnings)]) })
	}
	open.Wait()
}

// trickle sends a beginning, and then a byte a second.
func trickle(ctx context.Context, address, beginning string) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()
	if beginning == "" {
		<-ctx.Done()
		return
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // it does not come to trust
	if secure.HandshakeContext(ctx) != nil {
		return
	}
	for text := beginning; ; text = "a" {
		if _, err := io.WriteString(secure, text); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// sendDeep sends lists in lists, deeper than any decoder should follow, and as deep as
// some do: by themselves, and within the review.
func sendDeep(ctx context.Context, t *target) {
	for _, depth := range []int{3 << 20, 100_000, 9_000, 2_000} {
		nested := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		within := strings.Replace(string(t.review), `"taskSpec":{`, `"taskSpec":{"description":`+nested+`,`, 1)
		for _, body := range []string{nested, within} {
			t.send(ctx, strings.NewReader(body), int64(len(body)))
		}
	}
}
