package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
)

// unmatchedRequest is a request for which no webhook is called.
type unmatchedRequest struct {
	name, added               string // measures
	method, path, contentType string
	body                      []byte
}

// unmatchedRequests returns them for a Namespace.
func unmatchedRequests(namespace string) []unmatchedRequest {
	const mergePatch = "application/merge-patch+json"
	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "web"},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "example.com/web:v1"}}},
	}
	settings := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings"},
		"data": map[string]any{"a": "b"},
	}
	label := map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b"}}}
	return []unmatchedRequest{
		{"create a Pod", "added to creating a Pod",
			http.MethodPost, collection("api/v1/pods", namespace), "application/json", encode(pod)},
		{"label a TaskRun", "added to labeling a TaskRun",
			http.MethodPatch, collection(taskRuns, namespace) + "/build", mergePatch, encode(label)},
		{"create a ConfigMap", "added to creating a ConfigMap",
			http.MethodPost, collection("api/v1/configmaps", namespace), "application/json", encode(settings)},
	}
}

// unmatched measures requests for which no webhook is called, in Namespaces with and
// without webhooks.
func unmatched(ctx context.Context, e *environment) ([]report.Figure, error) {
	candidates := []string{noAdmission, noAdmissionAgain, tekgate}
	p, err := newControlPlane(ctx, e, candidates...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	for _, candidate := range candidates { // before a webhook is registered that would change them
		path := collection(taskRuns, namespace(candidate))
		_, _, err := p.api.send(ctx, http.MethodPost, path, "application/json", encode(taskRun("build")))
		if err != nil {
			return nil, err
		}
	}
	ours := []string{tekgate}
	if _, err := p.addTekgate(ctx, e, newJob(taskRuns, taskRun("other")), ours, ours); err != nil {
		return nil, err
	}
	r := &recorder{}
	for i := range unmatchedRequests("") {
		if err := p.measureUnmatched(ctx, e, r, i, candidates); err != nil {
			return nil, err
		}
	}
	return r.figures, nil
}

// measureUnmatched measures the i-th request for all candidates in turn.
func (p *controlPlane) measureUnmatched(
	ctx context.Context, e *environment, r *recorder, i int, candidates []string,
) error {
	one := unmatchedRequests("")[i]
	send := func(ctx context.Context, candidate string) (time.Duration, error) {
		r := unmatchedRequests(namespace(candidate))[i]
		_, took, err := p.api.send(ctx, r.method, r.path+"?dryRun=All", r.contentType, r.body)
		return took, err
	}
	load.InTurn(ctx, candidates, 1, 1, 50, send) // warm up
	before, err := p.webhookCalls(ctx)
	if err != nil {
		return err
	}
	for round := range e.rounds {
		e.progress(round, "%s", one.name)
		samples := load.InTurn(ctx, candidates, 12, 1, 40, send)
		for _, candidate := range candidates {
			s := samples[candidate]
			if err := s.Err(candidate); err != nil {
				return err
			}
			r.record(one.name, candidate, "ms", s.Median())
			if candidate != noAdmission {
				r.record(one.added, candidate, "ms", s.Median()-samples[noAdmission].Median())
			}
		}
	}
	after, err := p.webhookCalls(ctx)
	if err != nil {
		return err
	}
	if called := after.since(before); len(called) > 0 {
		return fmt.Errorf("%s: webhooks were called: %v", one.name, called)
	}
	return ctx.Err()
}
