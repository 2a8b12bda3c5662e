package main

import (
	"context"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
)

// throughput measures many requests at once over kept connections.
func throughput(ctx context.Context, e *environment) ([]report.Figure, error) {
	const perSecond, p99 = throughputName + ", 16 clients", "p99, 64 clients"
	candidates, err := e.targets(ctx,
		null, tekgate, kubebuilder, gatekeeper, kyvernoPolicy, kyvernoCEL, tektonDefaulting)
	if err != nil {
		return nil, err
	}
	return e.measure(ctx, series{
		candidates: candidates, guard: perSecond,
		measures: []measure{{perSecond, "req/s"}, {p99, "ms"}},
		run: func(ctx context.Context, candidate string) (scores, error) {
			t, err := e.target(ctx, candidate)
			if err != nil {
				return nil, err
			}
			few, err := t.Measure(ctx, load.Spec{Clients: 16, Keep: true, Span: e.span})
			if err != nil {
				return nil, err
			}
			many, err := t.Measure(ctx, load.Spec{Clients: 64, Keep: true, Span: e.span})
			return scores{perSecond: few.PerSecond(), p99: many.P99()}, err
		},
	})
}
