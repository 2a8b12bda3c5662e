package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// load is how an arm is asked.
type load struct {
	clients int           // that ask one request after the other
	keep    bool          // whether connections are kept
	span    time.Duration // for how long; or
	count   int           // how many requests, where it is not 0
}

// outcome is what came of a load.
type outcome struct {
	requests int
	wall     time.Duration
	cpu      time.Duration // of the server's process
	took     []time.Duration
}

// warmUp is how long an arm is asked before it is measured.
const warmUp = 300 * time.Millisecond

// measured asks an arm for a while, then measures it.
func (t *target) measured(ctx context.Context, l load) (outcome, error) {
	caller := t.caller(l.keep)
	defer caller.CloseIdleConnections()
	if _, err := t.ask(ctx, caller, load{clients: l.clients, keep: l.keep, span: warmUp}); err != nil {
		return outcome{}, err
	}
	return t.ask(ctx, caller, l)
}

// ask runs a load. A request that is refused or fails ends it.
func (t *target) ask(ctx context.Context, caller *http.Client, l load) (outcome, error) {
	before, err := processTime(t.pid)
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		out    outcome
		failed error
	)
	for range l.clients {
		group.Go(func() {
			took, err := t.one(ctx, caller, l, began)
			mu.Lock()
			defer mu.Unlock()
			out.took = append(out.took, took...)
			if err != nil {
				failed = err
			}
		})
	}
	group.Wait()
	out.wall, out.requests = time.Since(began), len(out.took)
	after, err := processTime(t.pid)
	out.cpu = after - before
	if failed != nil {
		return outcome{}, fmt.Errorf("asking %s: %w", t.arm, failed)
	}
	return out, err
}

// one is one client of a load.
func (t *target) one(ctx context.Context, caller *http.Client, l load, began time.Time) ([]time.Duration, error) {
	var took []time.Duration
	for {
		if l.count > 0 && len(took) >= l.count/l.clients || l.count == 0 && time.Since(began) >= l.span {
			return took, nil
		}
		start := time.Now()
		if err := t.once(ctx, caller); err != nil {
			return took, err
		}
		took = append(took, time.Since(start))
	}
}

// once sends the review and checks that it is allowed, over HTTP/1.1.
func (t *target) once(ctx context.Context, caller *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(t.review))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := caller.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(`"allowed":true`)) || res.ProtoMajor != 1 {
		return fmt.Errorf("it answers %s over %s: %.300s", res.Status, res.Proto, text)
	}
	return nil
}

// quantile is that of the times: 0.5, 0.99.
func (o outcome) quantile(q float64) time.Duration {
	if len(o.took) == 0 {
		return 0
	}
	slices.Sort(o.took)
	return o.took[min(int(float64(len(o.took))*q), len(o.took)-1)]
}

// cpuPerRequest is in µs.
func (o outcome) cpuPerRequest() float64 {
	return float64(o.cpu.Microseconds()) / float64(max(o.requests, 1))
}

// processTime is the CPU time that a process has taken, to 10 ms: fields 14 and 15 of
// /proc/PID/stat, see proc_pid_stat(5).
func processTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of a server: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading the CPU time of a server: its stat has %d fields", len(fields))
	}
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of a server: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
