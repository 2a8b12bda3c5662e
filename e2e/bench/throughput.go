package main

import (
	"context"

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
			few, err := t.measure(ctx, load{clients: 16, keep: true, span: e.span})
			if err != nil {
				return nil, err
			}
			many, err := t.measure(ctx, load{clients: 64, keep: true, span: e.span})
			return scores{perSecond: few.perSecond(), p99: many.p99()}, err
		},
	})
}
