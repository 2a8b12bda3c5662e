package main

import (
	"context"
	"time"
)

const whatCPU = "CPU per request"

// prototype is why the goals about peers are missed.
const prototype = "what Tekgate takes with all ten rules (above); the goal came from a prototype that had no rules, no log and no metrics."

func cpuPerRequest() benchmark {
	return benchmark{
		ID: "B1", Title: "CPU time and latency of one request",
		Load: "One client posts the review of a TaskRun of four steps over a kept connection. Tekgate has every rule of its mutator on; " +
			"the peers give it a ServiceAccount, a variable for each step and images from a mirror. Tekton's webhook and the pod identity webhook do their own jobs instead, " +
			"the latter on a Pod of four containers.",
		Silent: "What an API server adds to each call, which is more than all of this (B3); nor rules that have to look up what they have not seen before.",
		Goals: []Goal{
			{Text: "CPU of Tekgate, in multiples of null's", What: whatCPU, Over: armOurs, Under: armNull, AtMost: limit(1.5),
				Reason: "beyond what the null handler does, which is HTTP's and TLS's part, Tekgate reads the review, asks ten rules about four steps and writes a patch of 3 KB. By a profile of a whole request the rules take 28 %, none of them above 5, decoding 8, comparing 4; half as much is left for all of that by 1.5. The goal came from a prototype that had no rules, no log and no metrics."},
			{Text: "CPU of Gatekeeper, in multiples of Tekgate's", What: whatCPU, Over: armGatekeeper, Under: armOurs, AtLeast: limit(12),
				Reason: prototype},
			{Text: "CPU of Kyverno with a ClusterPolicy, in multiples of Tekgate's", What: whatCPU, Over: armKyverno, Under: armOurs, AtLeast: limit(25),
				Reason: prototype},
			{Text: "CPU of Kyverno with a MutatingPolicy, in multiples of Tekgate's", What: whatCPU, Over: armKyvernoCEL, Under: armOurs, AtLeast: limit(25),
				Reason: prototype},
			{Text: "CPU of Tekton's defaulting, in multiples of Tekgate's", What: whatCPU, Over: armTekton, Under: armOurs, AtLeast: limit(6),
				Reason: prototype},
		},
		Run: b1,
	}
}

func b1(ctx context.Context, b *bed) ([]Figure, error) {
	arms, err := b.available(ctx, armNull, armOurs, armKubebuilder, armGatekeeper, armKyverno, armKyvernoCEL, armTekton, armPodIdentity)
	if err != nil {
		return nil, err
	}
	return b.measure(ctx, Series{
		ID: "B1", Arms: arms, Guard: whatCPU, GuardArm: armNull,
		Units: []Unit{{whatCPU, "µs"}, {"p50", "µs"}, {"p99", "µs"}},
		Measure: func(ctx context.Context, arm string) (Sample, error) {
			t, err := b.target(ctx, arm)
			if err != nil {
				return nil, err
			}
			out, err := t.measured(ctx, load{clients: 1, keep: true, span: b.span})
			return Sample{whatCPU: out.cpuPerRequest(), "p50": micros(out.quantile(0.5)), "p99": micros(out.quantile(0.99))}, err
		},
	})
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
