package main

import (
	"context"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/load"
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
			return i.fresh(ctx, candidate, func(s *peers.Server, t *load.Target) (scores, error) {
				time.Sleep(time.Second)
				before, err := load.ProcessMemory(s.PID, load.ResidentSet)
				if err != nil {
					return nil, err
				}
				caller := t.Caller(true)
				defer caller.CloseIdleConnections()
				if _, err := t.Run(ctx, caller, load.Spec{Clients: 16, Count: 10_000}); err != nil {
					return nil, err
				}
				after, err := load.ProcessMemory(s.PID, load.ResidentSet)
				return scores{ready: s.Ready.Seconds(), idle: before, used: after}, err
			})
		},
	})
}
