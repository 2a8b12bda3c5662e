package main

import (
	"context"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
)

// cpu measures single requests.
func cpu(ctx context.Context, e *environment) ([]report.Figure, error) {
	candidates, err := e.targets(ctx,
		null, tekgate, kubebuilder, gatekeeper, kyvernoPolicy, kyvernoCEL, tektonDefaulting, podIdentity)
	if err != nil {
		return nil, err
	}
	return e.measure(ctx, series{
		candidates: candidates, guard: cpuPerRequest,
		measures: []measure{{cpuPerRequest, "µs"}, {"p50", "µs"}, {"p99", "µs"}},
		run: func(ctx context.Context, candidate string) (scores, error) {
			t, err := e.target(ctx, candidate)
			if err != nil {
				return nil, err
			}
			u, err := t.Measure(ctx, load.Spec{Clients: 1, Keep: true, Span: e.span})
			return scores{
				cpuPerRequest: u.CPUPerRequest(),
				"p50":         load.Micros(u.Quantile(0.5)),
				"p99":         load.Micros(u.Quantile(0.99)),
			}, err
		},
	})
}
