package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/peers"
)

// p99Before is that of the client without an attack.
const p99Before = "p99 before"

func growth(attack string) string    { return "memory growth, " + attack }
func p99During(attack string) string { return "p99, " + attack }

// hostile measures what attacks cost a server and its other clients.
func hostile(ctx context.Context, e *environment) ([]report.Figure, error) {
	i, err := e.isolate(ctx)
	if err != nil {
		return nil, err
	}
	candidates, err := i.startable(ctx, null, tekgate, kubebuilder, gatekeeper, kyvernoPolicy)
	if err != nil {
		return nil, err
	}
	measures := []measure{{p99Before, "ms"}}
	for _, a := range attacks() {
		measures = append(measures, measure{growth(a.name), "MiB"}, measure{p99During(a.name), "×"})
	}
	return i.measure(ctx, series{
		candidates: candidates, rounds: mostStarts, measures: measures,
		run: func(ctx context.Context, candidate string) (scores, error) {
			return i.fresh(ctx, candidate, func(s *peers.Server, t *target) (scores, error) {
				return attacked(ctx, s, t)
			})
		},
	})
}

// attacked measures one server, after warming it up, since it grows by usual requests too.
func attacked(ctx context.Context, s *peers.Server, t *target) (scores, error) {
	caller := t.caller(true)
	defer caller.CloseIdleConnections()
	if _, err := t.run(ctx, caller, load{clients: 8, count: 3000}); err != nil {
		return nil, err
	}
	quiet := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(quiet) })
	before, err := t.sendUntil(ctx, caller, quiet)
	if err != nil {
		return nil, err
	}
	scored := scores{p99Before: before.p99()}
	for _, a := range attacks() {
		had, err := resetPeak(s.PID)
		if err != nil {
			return nil, err
		}
		over, failed := make(chan struct{}), error(nil)
		go func() {
			defer close(over)
			failed = t.attack(ctx, a.name)
			time.Sleep(time.Second / 2) // for a few more usual requests
		}()
		during, err := t.sendUntil(ctx, caller, over)
		<-over
		if err := errors.Join(err, failed); err != nil {
			return nil, fmt.Errorf("sending requests during %s: %w", a.name, err)
		}
		peak, err := processMemory(s.PID, peakSet)
		if err != nil {
			return nil, err
		}
		scored[growth(a.name)] = peak - had
		scored[p99During(a.name)] = during.p99() / before.p99()
	}
	return scored, nil
}

// sendUntil sends a request every two milliseconds until stop, and at least 20.
func (t *target) sendUntil(ctx context.Context, caller *http.Client, stop <-chan struct{}) (sample, error) {
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
		took, err := t.send(ctx, caller)
		failed = err != nil
		return took, err
	})
	return s, s.err(t.candidate)
}
