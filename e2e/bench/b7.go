package main

import "context"

func handshakes() benchmark {
	return benchmark{
		ID: "B7", Title: "A storm of handshakes",
		Load: "The review of B1 from 64 clients at once, each request over a connection of its own: what an API server does " +
			"with all calls beyond the 25 connections that it keeps. All keys are of P-256; Kyverno's are of RSA by default, which would cost it more.",
		Silent: "Session resumption, which no API server does; nor what the slower keys cost that some peers choose by themselves.",
		Goals: []Goal{
			{Text: "CPU of Tekgate, in multiples of null's", What: whatCPU, Over: armOurs, Under: armNull, AtMost: limit(1.2),
				Reason: "the handshake costs both the same; the difference is that of B1."},
		},
		Run: b7,
	}
}

func b7(ctx context.Context, b *bed) ([]Figure, error) {
	arms, err := b.available(ctx, armNull, armOurs, armKubebuilder, armGatekeeper, armKyverno, armKyvernoCEL, armTekton)
	if err != nil {
		return nil, err
	}
	return b.measure(ctx, Series{
		ID: "B7", Arms: arms, Guard: whatCPU, GuardArm: armNull,
		Units: []Unit{{whatCPU, "µs"}, {"requests per second", "req/s"}},
		Measure: func(ctx context.Context, arm string) (Sample, error) {
			t, err := b.target(ctx, arm)
			if err != nil {
				return nil, err
			}
			out, err := t.measured(ctx, load{clients: 64, span: b.span})
			return Sample{whatCPU: out.cpuPerRequest(), "requests per second": float64(out.requests) / out.wall.Seconds()}, err
		},
	})
}
