package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// conditionKeeper is the field manager of the expressions of the conditions that come from
// the configuration, and of nothing else.
const conditionKeeper = "tekgate-conditions"

// conditions keeps the webhooks' match conditions wellknown.MatchCondition, so that the API
// server does not send objects that no rule would touch. Every replica does so.
//
// A condition is an optimisation, and one that is too narrow would switch rules off without
// notice. So a replica that finds a condition that differs from its own configuration opens
// it at once: true lets every object through. A condition is narrowed when all replicas have
// wanted the same for a while, which each writes into a Lease before it opens anything. A
// replica that is behind the others, or ahead of them, thus keeps conditions open.
//
// Conditions of other names are not touched, and no condition is added to a webhook without
// one: an API server that does not support them has dropped them, and a user who removed one
// wants every object to be sent.
type conditions struct {
	server.EveryReplica
	client   client.Client
	wanted   func(context.Context) (map[string]string, error) // expressions by webhook
	replicas *replicas
	interval time.Duration // between two rounds when nothing changes
	changes  server.Notifier
	log      logr.Logger

	status server.Status
	agreed time.Time // since when all want the same; zero while they do not
	// backoffs has one for each kind of write to each configuration, so that no other write
	// keeps a condition from being opened at once.
	backoffs map[string]*server.Backoff
}

// Start keeps the conditions until ctx ends.
func (c *conditions) Start(ctx context.Context) error {
	defer c.replicas.leave(ctx)
	for {
		pause, err := c.keep(ctx)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if c.status.Changed(text) && err != nil {
			c.log.Info("the webhooks' conditions stay as they are", "reason", text)
		}
		if !server.Sleep(ctx, pause, c.changes) {
			return nil
		}
	}
}

// keep does one round, and returns the time until the next one.
func (c *conditions) keep(ctx context.Context) (time.Duration, error) {
	wanted, err := c.wanted(ctx)
	if err != nil {
		return c.interval, err
	}
	failure := c.replicas.announce(ctx, digest(wanted)) // first, so that no replica narrows what this one opens
	wait := c.interval
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		live, err := c.read(ctx, kind)
		if err != nil {
			return c.interval, err
		}
		sooner, err := c.settle(ctx, live, wanted, failure == nil)
		if err != nil {
			return c.interval, err
		}
		wait = min(wait, sooner)
	}
	return wait, failure
}

// digest returns a short name for expressions.
func digest(wanted map[string]string) string {
	text, _ := json.Marshal(wanted) // texts alone; keys are sorted
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func (c *conditions) read(ctx context.Context, kind string) (*unstructured.Unstructured, error) {
	name := wellknown.MutatingConfiguration
	if kind == "ValidatingWebhookConfiguration" {
		name = wellknown.ValidatingConfiguration
	}
	live := &unstructured.Unstructured{}
	live.SetAPIVersion("admissionregistration.k8s.io/v1")
	live.SetKind(kind)
	if err := c.client.Get(ctx, client.ObjectKey{Name: name}, live); err != nil {
		return nil, fmt.Errorf("reading %s %s for its conditions: %w", kind, name, err)
	}
	return live, nil
}

// settle opens conditions that differ from the wanted ones, and narrows open ones once the
// replicas agree. It returns the time until the next round.
func (c *conditions) settle(ctx context.Context, live *unstructured.Unstructured, wanted map[string]string,
	known bool) (time.Duration, error) {
	has := expressions(live)
	opened, narrow := map[string]string{}, map[string]string{}
	for hook, expression := range has {
		opened[hook], narrow[hook] = wellknown.Always, wanted[hook]
		if wanted[hook] == expression {
			opened[hook] = expression
		}
	}
	switch {
	case !maps.Equal(has, opened):
		c.agreed = time.Time{}
		return c.write(ctx, live, opened, "opened the webhooks' conditions, which did not fit the configuration in force")
	case maps.Equal(has, narrow):
		return c.interval, nil
	case !known || !c.replicas.agree(ctx, digest(wanted)):
		c.agreed = time.Time{}
		return c.interval / 4, nil
	case c.agreed.IsZero():
		c.agreed = time.Now()
	}
	if rest := time.Until(c.agreed.Add(c.interval / 4)); rest > 0 {
		return rest, nil
	}
	return c.write(ctx, live, narrow, "narrowed the webhooks' conditions to what the configuration wants")
}

// expressions returns the expressions of the conditions that are kept, by webhook.
func expressions(live *unstructured.Unstructured) map[string]string {
	found := map[string]string{}
	hooks, _, _ := unstructured.NestedSlice(live.Object, "webhooks")
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		name, _ := hook["name"].(string)
		list, _ := hook["matchConditions"].([]any)
		for _, m := range list {
			condition, _ := m.(map[string]any)
			if condition["name"] == wellknown.MatchCondition {
				found[name], _ = condition["expression"].(string)
			}
		}
	}
	return found
}

// write puts expressions into a configuration that has not changed since it was read, and
// returns the time until the next round.
func (c *conditions) write(ctx context.Context, live *unstructured.Unstructured, expressions map[string]string,
	message string) (time.Duration, error) {
	key := live.GetKind() + message
	if c.backoffs[key] == nil {
		c.backoffs[key] = &server.Backoff{}
	}
	if remaining := c.backoffs[key].Remaining(); remaining > 0 {
		return remaining, nil
	}
	c.backoffs[key].Wrote()
	hooks := make([]any, 0, len(expressions))
	for _, name := range slices.Sorted(maps.Keys(expressions)) {
		hooks = append(hooks, map[string]any{"name": name, "matchConditions": []any{
			map[string]any{"name": wellknown.MatchCondition, "expression": expressions[name]},
		}})
	}
	want := &unstructured.Unstructured{Object: map[string]any{"webhooks": hooks}}
	want.SetGroupVersionKind(live.GroupVersionKind())
	want.SetName(live.GetName())
	want.SetUID(live.GetUID())
	want.SetResourceVersion(live.GetResourceVersion())
	err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), client.FieldOwner(conditionKeeper),
		client.ForceOwnership)
	if apierrors.IsConflict(err) {
		return max(c.backoffs[key].Remaining(), 0), nil // another client was faster
	}
	if err != nil {
		return c.interval, fmt.Errorf("writing the conditions of %s: %w", live.GetName(), err)
	}
	c.log.Info(message, "configuration", live.GetName())
	return c.interval, nil
}
