package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// armAgain is a second Namespace without admission. How far it is from the first is what
// these figures can tell apart.
const armAgain = "no admission, again"

func unmatched() benchmark {
	b := benchmark{
		ID: "B4", Title: "What an installation costs the objects that it does not match",
		Load: "With all webhooks of an installation registered for one Namespace and for another none, with `dryRun=All`: a Pod that is no TaskRun's is created, " +
			"a TaskRun is given a label, and a ConfigMap is created, in both Namespaces and in a third without webhooks, in turn. That no webhook is asked is what the API server counts: one that were would end the run.",
		Silent: "Differences that are smaller than the one between two Namespaces without webhooks.",
		Run:    b4,
	}
	for _, request := range strangers("") {
		b.Goals = append(b.Goals,
			Goal{Text: request.what + ": with Tekgate over without", What: request.what, Over: armOurs, Under: armNone, AtMost: limit(1.05), Reason: unmatchedReason(request.what)})
	}
	return b
}

// stranger is a request that concerns no webhook.
type stranger struct {
	what, method, path, contentType string
	body                            []byte
}

// strangers returns them for a Namespace.
func strangers(namespace string) []stranger {
	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "web"},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "example.com/web:v1"}}},
	}
	settings := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings"}, "data": map[string]any{"a": "b"}}
	label := map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b"}}}
	return []stranger{
		{"a Pod is created", http.MethodPost, collection("api/v1/pods", namespace), "application/json", encode(pod)},
		{"a TaskRun is given a label", http.MethodPatch, collection(taskRuns, namespace) + "/build", "application/merge-patch+json", encode(label)},
		{"a ConfigMap is created", http.MethodPost, collection("api/v1/configmaps", namespace), "application/json", encode(settings)},
	}
}

// unmatchedReason says why a request that no webhook is asked about costs something.
func unmatchedReason(what string) string {
	if strings.Contains(what, "TaskRun") {
		return "whether an update of a run would take away what was added to it is found out by a condition in CEL, which compares the two objects in the API server, so that the admission server need not be called, for five times as long."
	}
	return "by no more than two Namespaces without webhooks differ."
}

// b4 measures requests that no webhook is asked about, with the webhooks registered and
// without.
func b4(ctx context.Context, b *bed) ([]Figure, error) {
	arms := []string{armNone, armAgain, armOurs}
	p, err := newPlane(ctx, b, arms...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	for _, arm := range arms { // before anybody is registered who would change them
		if _, _, err := p.post.send(ctx, http.MethodPost, collection(taskRuns, space(arm)), "application/json", taskRun()); err != nil {
			return nil, err
		}
	}
	if _, err := p.addOurs(ctx, b, []string{armOurs}, []string{armOurs}); err != nil {
		return nil, err
	}
	if err := p.changed(ctx, armOurs, taskRuns, encode(renamed(taskRun(), "other"))); err != nil {
		return nil, err
	}
	l := &ledger{id: "B4"}
	for i, one := range strangers("") {
		if err := p.ignored(ctx, b, l, one.what, i, arms); err != nil {
			return nil, err
		}
	}
	return l.figures, nil
}

// ignored measures the i-th request that concerns nobody, in all arms in turn.
func (p *plane) ignored(ctx context.Context, b *bed, l *ledger, what string, i int, arms []string) error {
	send := func(ctx context.Context, arm string) (time.Duration, error) {
		r := strangers(space(arm))[i]
		_, took, err := p.post.send(ctx, r.method, r.path+"?dryRun=All", r.contentType, r.body)
		return took, err
	}
	inTurn(ctx, arms, 1, 1, 50, send) // warm
	before, err := p.admission(ctx)
	if err != nil {
		return err
	}
	for round := range b.rounds {
		b.tell("B4, %s", round, what)
		seen := inTurn(ctx, arms, 12, 1, 40, send)
		none := seen[armNone].quantile(0.5)
		for _, arm := range arms {
			if err := seen[arm].complaint(arm); err != nil {
				return err
			}
			l.note(what, arm, "ms", seen[arm].quantile(0.5))
			if arm != armNone {
				l.note("added where "+what, arm, "ms", seen[arm].quantile(0.5)-none)
			}
		}
	}
	after, err := p.admission(ctx)
	if err != nil {
		return err
	}
	if asked := after.since(before); len(asked) > 0 {
		return fmt.Errorf("%s: webhooks were asked, which concerns none: %v", what, asked)
	}
	return ctx.Err()
}
