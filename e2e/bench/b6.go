package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/validator"
)

// ruleCounts are the arms of B6, by how many rules are on.
var ruleCounts = map[string]int{"tekgate, 1 rule": 1, "tekgate, 16 rules": 16, "tekgate, 120 rules": 120}

func ruleScale() benchmark {
	return benchmark{
		ID: "B6", Title: "What a rule costs",
		Load: "The TaskRun of B1 is judged instead of mutated, by servers with 1, 16 and 120 rules of the validator in mode `warn` and all others off. " +
			"Rules about other objects, which depend on what is in the cluster, and those that ask a registry are left out; those about TaskRuns come first: 89 of the 120.",
		Silent: "Rules that look other objects up; and larger objects, of which more has to be walked once, whatever the number of rules.",
		Goals: []Goal{
			{Text: "CPU of 120 rules, in multiples of that of 1", What: whatCPU, Over: "tekgate, 120 rules", Under: "tekgate, 1 rule", AtMost: limit(2),
				Reason: "one walk over the object serves all rules, but each of the 89 about TaskRuns still looks at every step, for some 7 µs; and the base, one rule, costs little more than the null handler."},
		},
		Run: b6,
	}
}

func b6(ctx context.Context, b *bed) ([]Figure, error) {
	if b.leftOut(armOurs) {
		return nil, errors.New("tekgate is left out")
	}
	c, err := b.sharedCluster(ctx)
	if err != nil {
		return nil, err
	}
	targets := map[string]*target{}
	if targets[armNull], err = b.target(ctx, armNull); err != nil {
		return nil, err
	}
	arms := []string{armNull, "tekgate, 1 rule", "tekgate, 16 rules", "tekgate, 120 rules"}
	for _, arm := range arms[1:] {
		s, err := b.start(ctx, c, armOurs, peers.Options{Config: judging(ruleCounts[arm])})
		if err != nil {
			return nil, err
		}
		defer s.Stop()
		review, err := baseline.Review(baseline.TaskRun())
		if err != nil {
			return nil, err
		}
		targets[arm] = &target{arm: arm, url: "https://" + s.Address + "/validate", ca: s.CA, pid: s.PID, review: review}
	}
	return b.measure(ctx, Series{
		ID: "B6", Arms: arms, Guard: whatCPU, GuardArm: armNull,
		Units: []Unit{{whatCPU, "µs"}, {"p50", "µs"}},
		Measure: func(ctx context.Context, arm string) (Sample, error) {
			out, err := targets[arm].measured(ctx, load{clients: 1, keep: true, span: b.span})
			return Sample{whatCPU: out.cpuPerRequest(), "p50": micros(out.quantile(0.5))}, err
		},
	})
}

// judging is a configuration in which so many rules warn and the others are off.
func judging(count int) string {
	kind := schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "TaskRun"}
	rules := map[string]validator.RuleConfig{}
	for _, rule := range validator.Rules {
		rules[rule.ID] = validator.RuleConfig{Mode: validator.Off}
	}
	for _, aboutRuns := range []bool{true, false} {
		for _, rule := range validator.Rules {
			if count > 0 && rule.Handles(kind) == aboutRuns && !rule.Others && !rule.Online {
				rules[rule.ID] = validator.RuleConfig{Mode: validator.Warn}
				count--
			}
		}
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "tekgate.dev/v1alpha1", "kind": "Configuration", "validator": map[string]any{"rules": rules},
	})
	if err != nil {
		panic(fmt.Sprintf("encoding modes of rules: %v", err)) // strings in maps
	}
	return string(text)
}
