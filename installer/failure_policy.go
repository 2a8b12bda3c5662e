package installer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// A webhook of Tekgate's that refuses what it cannot judge must not refuse its own repair.
// So it gets failurePolicy Fail only after its server has answered the API server, from two
// replicas, and an install that finds that it does not answer sets it to Ignore first.
const (
	failurePolicyIgnore = "Ignore"
	failurePolicyFail   = "Fail"
	// failingReplicas is how many replicas must be ready: while one is replaced the other
	// answers.
	failingReplicas = 2
)

// soft returns what is applied of a change before its server has answered: the webhooks
// that do not refuse yet stay Ignore. It reports whether that differs from what is desired.
func (ch *Change) soft() (first *unstructured.Unstructured, differs bool) {
	if !isOwnConfiguration(ch.Desired) {
		return ch.Desired, false
	}
	refuses := map[string]bool{}
	if ch.Live != nil {
		for _, webhook := range live.Maps(ch.Live.Object, "webhooks") {
			refuses[live.Text(webhook, "name")] = webhook["failurePolicy"] == failurePolicyFail
		}
	}
	first = ch.Desired.DeepCopy()
	webhooks, _ := first.Object["webhooks"].([]any)
	for _, w := range webhooks {
		webhook, _ := w.(map[string]any)
		if webhook["failurePolicy"] == failurePolicyFail && !refuses[live.Text(webhook, "name")] {
			webhook["failurePolicy"], differs = failurePolicyIgnore, true
		}
	}
	return first, differs
}

func isOwnConfiguration(obj *unstructured.Unstructured) bool {
	return manifest.IsWebhookConfiguration(obj) && obj.GetName() == live.OwnConfiguration(obj.GetKind())
}

// hardens reports whether the webhooks of a change are yet to get failurePolicy Fail.
func hardens(change *Change) bool {
	_, differs := change.soft()
	return differs
}

// waitWebhooks waits until the API server asks Tekgate's admission server, and then gives
// the webhooks that are to refuse failurePolicy Fail.
func (r *run) waitWebhooks(ctx context.Context, changes []*Change) error {
	var hardening []*Change
	for _, change := range changes {
		if hardens(change) {
			hardening = append(hardening, change)
		}
	}
	if !r.options.Wait {
		changes = hardening
	}
	err := r.waitAsked(ctx, changes)
	if err == nil && len(hardening) > 0 {
		err = r.until(ctx, r.options.Timeout, r.mayFail)
	}
	if err != nil && len(hardening) > 0 {
		return fmt.Errorf("failurePolicy stays Ignore until the admission server answers: %w", err)
	}
	for _, change := range hardening {
		if err := r.patch(ctx, change.Desired.DeepCopy()); err != nil {
			return fmt.Errorf("%s: setting failurePolicy Fail: %w", kube.Name(change.Desired), err)
		}
	}
	return err
}

// mayFail says what is missing before a webhook may refuse what it cannot judge.
func (r *run) mayFail(ctx context.Context) (missing string, err error) {
	server, err := r.Get(ctx, live.Deployment, Namespace, wellknown.Webhook)
	if err != nil {
		return "", err
	}
	ready := int64(0)
	if server != nil {
		ready, _ = live.Replicas(server)
	}
	if ready < failingReplicas {
		return fmt.Sprintf("%d ready replicas of Deployment/%s/%s, of which there are %d", failingReplicas, Namespace,
			wellknown.Webhook, ready), nil
	}
	if missing, err = r.asksAboutConfiguration(ctx); missing != "" {
		missing = "the API server to ask Tekgate's admission server (" + missing + ")"
	}
	return missing, err
}

// byOwnServer reports whether an error says that Tekgate's admission server does not answer.
func byOwnServer(err error) bool {
	match := webhookName.FindStringSubmatch(err.Error())
	return match != nil && strings.HasSuffix(match[1], ".tekgate.dev") &&
		strings.Contains(err.Error(), "failed calling webhook")
}

// relax sets failurePolicy Ignore in Tekgate's webhook configurations, which the API server
// asks no webhook about. Their stage sets it to Fail again.
func (r *run) relax(ctx context.Context) error {
	for _, kind := range []schema.GroupVersionKind{live.Mutating, live.Validating} {
		current, err := r.Get(ctx, kind, "", live.OwnConfiguration(kind.Kind))
		if err != nil {
			return err
		}
		if current == nil {
			continue
		}
		if err := r.ignoreFailures(ctx, current); err != nil {
			return fmt.Errorf("%s: setting failurePolicy Ignore, because the admission server does not answer: %w",
				kube.Name(current), err)
		}
		for _, change := range r.plan.changes {
			if kube.Identity(change.Desired) == kube.Identity(current) {
				change.Live, change.Action = current, ssa.ConfiguredAction
			}
		}
	}
	return nil
}

func (r *run) ignoreFailures(ctx context.Context, configuration *unstructured.Unstructured) error {
	var patch []map[string]any
	for i, webhook := range live.Maps(configuration.Object, "webhooks") {
		path := fmt.Sprintf("/webhooks/%d/", i)
		patch = append(patch,
			// Of a configuration that has changed since it was read, nothing is patched.
			map[string]any{"op": "test", "path": path + "name", "value": webhook["name"]},
			map[string]any{"op": "add", "path": path + "failurePolicy", "value": failurePolicyIgnore})
	}
	text, err := json.Marshal(patch)
	if err != nil || len(patch) == 0 {
		return err
	}
	return r.client.Patch(ctx, configuration, client.RawPatch(types.JSONPatchType, text),
		client.FieldOwner(FieldManager))
}

// relaxes reports whether an install has to set failurePolicy Ignore before all else: the
// server refuses a part of it only because Tekgate's admission server does not answer.
func (p *Plan) relaxes() bool {
	return slices.ContainsFunc(p.changes, func(ch *Change) bool { return ch.unanswered })
}
