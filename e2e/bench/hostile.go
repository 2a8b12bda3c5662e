package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/load"
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
	for _, a := range load.Attacks() {
		measures = append(measures, measure{growth(a.Name), "MiB"}, measure{p99During(a.Name), "×"})
	}
	return i.measure(ctx, series{
		candidates: candidates, rounds: mostStarts, measures: measures,
		run: func(ctx context.Context, candidate string) (scores, error) {
			return i.fresh(ctx, candidate, func(s *peers.Server, t *load.Target) (scores, error) {
				return attacked(ctx, s, t)
			})
		},
	})
}

// attacked measures one server, after warming it up, since it grows by usual requests too.
func attacked(ctx context.Context, s *peers.Server, t *load.Target) (scores, error) {
	caller := t.Caller(true)
	defer caller.CloseIdleConnections()
	if _, err := t.Run(ctx, caller, load.Spec{Clients: 8, Count: 3000}); err != nil {
		return nil, err
	}
	quiet := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(quiet) })
	before, err := t.SendUntil(ctx, caller, quiet)
	if err != nil {
		return nil, err
	}
	scored := scores{p99Before: before.P99()}
	for _, a := range load.Attacks() {
		had, err := load.ResetPeak(s.PID)
		if err != nil {
			return nil, err
		}
		over, failed := make(chan struct{}), error(nil)
		go func() {
			defer close(over)
			failed = t.Attack(ctx, a.Name)
			time.Sleep(time.Second / 2) // for a few more usual requests
		}()
		during, err := t.SendUntil(ctx, caller, over)
		<-over
		if err := errors.Join(err, failed); err != nil {
			return nil, fmt.Errorf("sending requests during %s: %w", a.Name, err)
		}
		peak, err := load.ProcessMemory(s.PID, load.PeakSet)
		if err != nil {
			return nil, err
		}
		scored[growth(a.Name)] = peak - had
		scored[p99During(a.Name)] = during.P99() / before.P99()
	}
	return scored, nil
}
