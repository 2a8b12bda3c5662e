package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/tekton"
)

// target is the address of a candidate that is asked directly, and the review to send.
type target struct {
	candidate string
	url       string
	ca        []byte // nil trusts every server
	pid       int
	review    []byte
}

// target returns that of a candidate, and starts its shared server on first use.
func (e *environment) target(ctx context.Context, candidate string) (*target, error) {
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	if candidate == tektonDefaulting {
		return e.tektonTarget(ctx, review)
	}
	s, err := e.server(ctx, candidate)
	if err != nil {
		return nil, err
	}
	if candidate == kyvernoCEL && s.CEL == "" {
		return nil, errors.New("kyverno has no MutatingPolicy")
	}
	if candidate == podIdentity {
		if review, err = peers.PodReview(); err != nil {
			return nil, err
		}
	}
	return targetOf(s, candidate, review), nil
}

func targetOf(s *peers.Server, candidate string, review []byte) *target {
	t := &target{candidate: candidate, url: s.URL, ca: s.CA, pid: s.PID, review: review}
	if candidate == kyvernoCEL {
		t.url = s.CEL
	}
	return t
}

func (e *environment) tektonTarget(ctx context.Context, review []byte) (*target, error) {
	if e.tekton == nil {
		c, err := e.sharedCluster(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(e.log, "starting %s\n", tektonDefaulting)
		if e.tekton, err = tekton.New(ctx, c, tekton.Options{}, e.log); err != nil {
			e.tekton = nil
			return nil, err
		}
	}
	url, err := e.tekton.DefaultingURL(ctx)
	if err != nil {
		return nil, err
	}
	return &target{candidate: tektonDefaulting, url: url, pid: e.tekton.PID(), review: review}, nil
}

// targets returns those of candidates that are available.
func (e *environment) targets(ctx context.Context, candidates ...string) ([]string, error) {
	return e.available(ctx, func(candidate string) error {
		_, err := e.target(ctx, candidate)
		return err
	}, candidates...)
}

func (t *target) caller(keep bool) *http.Client { return peers.Caller(t.ca, keep) }

// load describes requests to one target.
type load struct {
	clients int           // each sends one request after the other
	keep    bool          // whether connections are kept
	span    time.Duration // for how long; or
	count   int           // how many requests, if not 0
}

// usage is what a load took.
type usage struct {
	sample
	wall time.Duration
	cpu  time.Duration // of the server's process
}

func (u *usage) cpuPerRequest() float64 { return micros(u.cpu) / float64(max(len(u.took), 1)) }
func (u *usage) perSecond() float64     { return float64(len(u.took)) / u.wall.Seconds() }

// warmUp is how long a target gets requests before it is measured.
const warmUp = 300 * time.Millisecond

// measure warms a target up and then measures it.
func (t *target) measure(ctx context.Context, l load) (usage, error) {
	caller := t.caller(l.keep)
	defer caller.CloseIdleConnections()
	if _, err := t.run(ctx, caller, load{clients: l.clients, keep: l.keep, span: warmUp}); err != nil {
		return usage{}, err
	}
	return t.run(ctx, caller, l)
}

// run sends a load. It ends with the first request that is refused or fails.
func (t *target) run(ctx context.Context, caller *http.Client, l load) (usage, error) {
	before, err := processTime(t.pid)
	if err != nil {
		return usage{}, err
	}
	began := time.Now()
	var sent atomic.Int64
	var failed atomic.Bool
	next := func() bool {
		if l.count > 0 {
			return sent.Add(1) <= int64(l.count) && !failed.Load()
		}
		return time.Since(began) < l.span && !failed.Load()
	}
	u := usage{sample: concurrently(ctx, l.clients, next, func(ctx context.Context) (time.Duration, error) {
		took, err := t.send(ctx, caller)
		if err != nil {
			failed.Store(true)
		}
		return took, err
	})}
	u.wall = time.Since(began)
	if err := u.err(t.candidate); err != nil {
		return usage{}, err
	}
	after, err := processTime(t.pid)
	u.cpu = after - before
	return u, err
}

// send sends the review and checks that it is allowed, over HTTP/1.1.
func (t *target) send(ctx context.Context, caller *http.Client) (time.Duration, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(t.review))
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
