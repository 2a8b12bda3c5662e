package main

import "context"

const (
	whatThroughput = "requests per second at 16 clients"
	whatP99        = "p99 at 64 clients"
)

// shared is why more is missed than in B1.
const shared = "the same as in B1, and the client takes its part of the two cores, the more the faster the server is."

func throughput() benchmark {
	return benchmark{
		ID: "B2", Title: "Throughput and the slowest requests under load",
		Load:   "The review of B1, from 16 and from 64 clients at once, over kept connections. The clients run on the same cores.",
		Silent: "What a server could do with cores of its own: the clients take their part, the more the faster the server is, so that ratios are smaller here than they would be.",
		Goals: []Goal{
			{Text: "requests per second of Tekgate, in multiples of Gatekeeper's", What: whatThroughput, Over: armOurs, Under: armGatekeeper, AtLeast: limit(12),
				Reason: shared},
			{Text: "requests per second of Tekgate, in multiples of Kyverno's with a ClusterPolicy", What: whatThroughput, Over: armOurs, Under: armKyverno, AtLeast: limit(25),
				Reason: shared},
			{Text: "requests per second of Tekgate, in multiples of Kyverno's with a MutatingPolicy", What: whatThroughput, Over: armOurs, Under: armKyvernoCEL, AtLeast: limit(25),
				Reason: shared},
			{Text: "p99 of Tekgate, in multiples of Gatekeeper's", What: whatP99, Over: armOurs, Under: armGatekeeper, AtMost: limit(1.0 / 6)},
		},
		Run: b2,
	}
}

func b2(ctx context.Context, b *bed) ([]Figure, error) {
	arms, err := b.available(ctx, armNull, armOurs, armKubebuilder, armGatekeeper, armKyverno, armKyvernoCEL, armTekton)
	if err != nil {
		return nil, err
	}
	return b.measure(ctx, Series{
		ID: "B2", Arms: arms, Guard: whatThroughput, GuardArm: armNull,
		Units: []Unit{{whatThroughput, "req/s"}, {whatP99, "ms"}},
		Measure: func(ctx context.Context, arm string) (Sample, error) {
			t, err := b.target(ctx, arm)
			if err != nil {
				return nil, err
			}
			some, err := t.measured(ctx, load{clients: 16, keep: true, span: b.span})
			if err != nil {
				return nil, err
			}
			many, err := t.measured(ctx, load{clients: 64, keep: true, span: b.span})
			return Sample{whatThroughput: float64(some.requests) / some.wall.Seconds(), whatP99: millis(many.quantile(0.99))}, err
		},
	})
}
