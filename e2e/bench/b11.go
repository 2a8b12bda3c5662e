package main

import (
	"context"
	"time"

	"github.com/tekgate/tekgate/e2e/peers"
)

const (
	whatUsed  = "memory after 10,000 requests"
	whatReady = "time to ready"
)

func footprint() benchmark {
	return benchmark{
		ID: "B11", Title: "Footprint and start",
		Load: "A server is started, left alone for a second, and then sent the review of B1 10,000 times by 16 clients. " +
			"It is ready once it answers: Tekgate when its probe says so, the others when they do the whole job. Memory is the resident set of the process. Three starts at most.",
		Silent: "The size of the images, the time to pull them, and memory that grows with what is in a cluster, for which all of them keep caches.",
		Goals: []Goal{
			{Text: "memory of Tekgate, in multiples of Gatekeeper's", What: whatUsed, Over: armOurs, Under: armGatekeeper, AtMost: limit(1.0 / 3),
				Reason: "the null handler, a Go process with Kubernetes' types and no work, has more than a third of Gatekeeper's already."},
			{Text: "seconds until Tekgate is ready", What: whatReady, Over: armOurs, AtMost: limit(1)},
		},
		Run: b11,
	}
}

func b11(ctx context.Context, b *bed) ([]Figure, error) {
	a, err := b.alone(ctx)
	if err != nil {
		return nil, err
	}
	arms, err := a.startable(ctx, armNull, armOurs, armKubebuilder, armGatekeeper, armKyverno)
	if err != nil {
		return nil, err
	}
	return a.measure(ctx, Series{
		ID: "B11", Arms: arms, Rounds: mostStarts, Units: []Unit{{whatReady, "s"}, {"memory when idle", "MiB"}, {whatUsed, "MiB"}},
		Measure: func(ctx context.Context, arm string) (Sample, error) {
			return a.fresh(ctx, arm, func(s *peers.Server, t *target) (Sample, error) {
				time.Sleep(time.Second)
				idle, err := memory(s.PID, "VmRSS")
				if err != nil {
					return nil, err
				}
				caller := t.caller(true)
				defer caller.CloseIdleConnections()
				if _, err := t.ask(ctx, caller, load{clients: 16, keep: true, count: 10_000}); err != nil {
					return nil, err
				}
				used, err := memory(s.PID, "VmRSS")
				return Sample{whatReady: s.Ready.Seconds(), "memory when idle": idle, whatUsed: used}, err
			})
		},
	})
}
