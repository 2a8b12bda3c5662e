package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tekgate/tekgate/e2e/peers"
)

// Target is the address of a candidate that is asked directly, and the review to send.
type Target struct {
	Candidate string
	URL       string
	CA        []byte // nil trusts every server
	PID       int
	Review    []byte
}

// Caller returns a client that trusts the target and keeps connections or does not.
func (t *Target) Caller(keep bool) *http.Client { return peers.Caller(t.CA, keep) }

// Spec describes requests to one target.
type Spec struct {
	Clients int           // each sends one request after the other
	Keep    bool          // whether connections are kept
	Span    time.Duration // for how long; or
	Count   int           // how many requests, if not 0
}

// Usage is what the requests of a Spec took.
type Usage struct {
	Sample
	wall time.Duration
	cpu  time.Duration // of the server's process
}

// CPUPerRequest is in microseconds.
func (u *Usage) CPUPerRequest() float64 { return Micros(u.cpu) / float64(max(len(u.Took), 1)) }

// PerSecond is the number of requests per second.
func (u *Usage) PerSecond() float64 { return float64(len(u.Took)) / u.wall.Seconds() }

// warmUp is how long a target gets requests before it is measured.
const warmUp = 300 * time.Millisecond

// Measure warms a target up and then measures it.
func (t *Target) Measure(ctx context.Context, spec Spec) (Usage, error) {
	caller := t.Caller(spec.Keep)
	defer caller.CloseIdleConnections()
	if _, err := t.Run(ctx, caller, Spec{Clients: spec.Clients, Keep: spec.Keep, Span: warmUp}); err != nil {
		return Usage{}, err
	}
	return t.Run(ctx, caller, spec)
}

// Run sends the requests of a Spec. It ends with the first request that is refused or fails.
func (t *Target) Run(ctx context.Context, caller *http.Client, spec Spec) (Usage, error) {
	before, err := ProcessTime(t.PID)
	if err != nil {
		return Usage{}, err
	}
	began := time.Now()
	var sent atomic.Int64
	var failed atomic.Bool
	next := func() bool {
		if spec.Count > 0 {
			return sent.Add(1) <= int64(spec.Count) && !failed.Load()
		}
		return time.Since(began) < spec.Span && !failed.Load()
	}
	u := Usage{Sample: concurrently(ctx, spec.Clients, next, func(ctx context.Context) (time.Duration, error) {
		took, err := t.Send(ctx, caller)
		if err != nil {
			failed.Store(true)
		}
		return took, err
	})}
	u.wall = time.Since(began)
	if err := u.Err(t.Candidate); err != nil {
		return Usage{}, err
	}
	after, err := ProcessTime(t.PID)
	u.cpu = after - before
	return u, err
}

// Send sends the review and checks that it is allowed, over HTTP/1.1.
func (t *Target) Send(ctx context.Context, caller *http.Client) (time.Duration, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(t.Review))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := caller.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if !bytes.Contains(text, []byte(`"allowed":true`)) || res.ProtoMajor != 1 {
		return 0, fmt.Errorf("got %s over %s: %.300s", res.Status, res.Proto, text)
	}
	return time.Since(began), nil
}

// SendUntil sends a request every two milliseconds until stop, and at least 20.
func (t *Target) SendUntil(ctx context.Context, caller *http.Client, stop <-chan struct{}) (Sample, error) {
	const least = 20
	var sent int
	var failed bool
	next := func() bool {
		select {
		case <-stop:
			return !failed && sent < least
		case <-time.After(2 * time.Millisecond):
			return !failed
		}
	}
	s := concurrently(ctx, 1, next, func(ctx context.Context) (time.Duration, error) {
		sent++
		took, err := t.Send(ctx, caller)
		failed = err != nil
		return took, err
	})
	return s, s.Err(t.Candidate)
}
