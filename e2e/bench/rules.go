package main

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator"
)

// rules measures validating servers by the number of rules that are on.
func rules(ctx context.Context, e *environment) ([]report.Figure, error) {
	if e.leftOut(tekgate) {
		return nil, errors.New("tekgate is left out")
	}
	c, err := e.sharedCluster(ctx)
	if err != nil {
		return nil, err
	}
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	targets := map[string]*load.Target{}
	if targets[null], err = e.target(ctx, null); err != nil {
		return nil, err
	}
	candidates := []string{null}
	for _, count := range []int{1, 16, 120} {
		s, err := e.start(ctx, c, tekgate, peers.Options{Config: warning(count)})
		if err != nil {
			return nil, err
		}
		defer s.Stop()
		candidate := fmt.Sprintf("%s, %d rules", tekgate, count)
		if count == 1 {
			candidate = tekgate + ", 1 rule"
		}
		url := "https://" + s.Address + "/validate"
		targets[candidate] = &load.Target{Candidate: candidate, URL: url, CA: s.CA, PID: s.PID, Review: review}
		candidates = append(candidates, candidate)
	}
	return e.perRequest(ctx, candidates, targets)
}

// perRequest measures what one request at a time costs each candidate.
func (e *environment) perRequest(ctx context.Context, candidates []string,
	targets map[string]*load.Target) ([]report.Figure, error) {
	return e.measure(ctx, series{
		candidates: candidates, guard: cpuPerRequest,
		measures: []measure{{cpuPerRequest, "µs"}, {"p50", "µs"}},
		run: func(ctx context.Context, candidate string) (scores, error) {
			u, err := targets[candidate].Measure(ctx, load.Spec{Clients: 1, Keep: true, Span: e.span})
			return scores{cpuPerRequest: u.CPUPerRequest(), "p50": load.Micros(u.Quantile(0.5))}, err
		},
	})
}

// warning returns a configuration in which a number of rules warn and all others are off.
// Rules about TaskRuns come first.
func warning(count int) string {
	kind := schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "TaskRun"}
	rules := map[string]validator.RuleConfig{}
	for _, rule := range validator.Rules {
		rules[rule.ID] = validator.RuleConfig{Mode: validator.Off}
	}
	for _, aboutTaskRuns := range []bool{true, false} {
		for _, rule := range validator.Rules {
			if count > 0 && rule.Handles(kind) == aboutTaskRuns && !rule.Others && !rule.Online {
				rules[rule.ID] = validator.RuleConfig{Mode: validator.Warn}
				count--
			}
		}
	}
	return string(encode(map[string]any{
		"apiVersion": wellknown.APIVersion, "kind": "Configuration", "validator": map[string]any{"rules": rules},
	}))
}
