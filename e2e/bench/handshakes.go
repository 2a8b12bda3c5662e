package main

import (
	"context"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
)

// handshakes measures requests over new connections.
func handshakes(ctx context.Context, e *environment) ([]report.Figure, error) {
	candidates, err := e.targets(ctx,
		null, tekgate, kubebuilder, gatekeeper, kyvernoPolicy, kyvernoCEL, tektonDefaulting)
	if err != nil {
		return nil, err
	}
	return e.measure(ctx, series{
		candidates: candidates, guard: cpuPerRequest,
		measures: []measure{{cpuPerRequest, "µs"}, {throughputName, "req/s"}},
		run: func(ctx context.Context, candidate string) (scores, error) {
			t, err := e.target(ctx, candidate)
			if err != nil {
				return nil, err
			}
			u, err := t.Measure(ctx, load.Spec{Clients: 64, Span: e.span})
			return scores{cpuPerRequest: u.CPUPerRequest(), throughputName: u.PerSecond()}, err
		},
	})
}
