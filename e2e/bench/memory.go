package main

import (
	"context"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/peers"
)

// memory measures the start and the resident set of servers.
func memory(ctx context.Context, e *environment) ([]report.Figure, error) {
	const ready, idle, used = "time to ready", "memory, idle", "memory, after 10,000 requests"
	i, err := e.isolate(ctx)
	if err != nil {
		return nil, err
	}
	candidates, err := i.startable(ctx, null, tekgate, kubebuilder, gatekeeper, kyvernoPolicy)
	if err != nil {
		return nil, err
	}
	return i.measure(ctx, series{
		candidates: candidates, rounds: mostStarts,
		measures: []measure{{ready, "s"}, {idle, "MiB"}, {used, "MiB"}},
		run: func(ctx context.Context, candidate string) (scores, error) {
			return i.fresh(ctx, candidate, func(s *peers.Server, t *target) (scores, error) {
				time.Sleep(time.Second)
				before, err := processMemory(s.PID, residentSet)
				if err != nil {
					return nil, err
				}
				caller := t.caller(true)
				defer caller.CloseIdleConnections()
				if _, err := t.run(ctx, caller, load{clients: 16, count: 10_000}); err != nil {
					return nil, err
				}
				after, err := processMemory(s.PID, residentSet)
				return scores{ready: s.Ready.Seconds(), idle: before, used: after}, err
			})
		},
	})
}
