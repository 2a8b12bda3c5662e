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

	"github.com/tekgate/tekgate/mutator/policy"
)

// conditionKeeper owns the expressions of the conditions that come from the
// configuration, and nothing else.
const conditionKeeper = "tekgate-conditions"

// conditions keep what no rule would touch on the API server, by the conditions
// policy.ConditionName of the webhooks. Every replica does so, without a leader.
//
// A condition is an optimisation, and one that is too narrow would switch rules off
// unnoticed. So whoever finds another one than its own configuration wants opens it,
// at once: true lets everything through. It is narrowed when all replicas want the
// same and have for a while, which each says in a Lease before it opens anything. A
// replica that is behind, or before the others, thus keeps conditions open.
//
// What stands in the live configuration under another name is not touched, and no
// condition is added where there is none: an API server that does not know them has
// dropped them, and who has removed one wants everything asked about.
type conditions struct {
	client   client.Client
	wanted   func(context.Context) (map[string]string, error) // expressions by webhook
	replicas *replicas
	interval time.Duration // between two looks when nothing changes
	changes  bell
	log      logr.Logger

	agreed time.Time // since when all want the same; zero while they do not
	// paces are those of each kind of write to each configuration, so that nothing
	// else keeps a condition from being opened at once.
	paces map[string]*pace
}

// pace answers whoever undoes a write again and again ever later.
type pace struct {
	last     time.Time
	patience time.Duration // after the last, before the next
}

func (p *pace) rest() time.Duration { return time.Until(p.last.Add(p.patience)) }

func (p *pace) took() {
	p.patience = min(2*p.patience, mostPatience)
	if now := time.Now(); now.Sub(p.last) > forgiven {
		p.patience = leastPatience
	}
	p.last = time.Now()
}

// NeedLeaderElection tells the manager to run it in every replica.
func (*conditions) NeedLeaderElection() bool { return false }

// Start keeps the conditions until ctx ends.
func (c *conditions) Start(ctx context.Context) error {
	defer c.replicas.leave(ctx)
	told := ""
	for {
		wait, err := c.keep(ctx)
		now := ""
		if err != nil {
			now = err.Error()
		}
		if now != told && now != "" {
			c.log.Info("the webhooks' conditions stay as they are", "reason", now)
		}
		told = now
		timer := time.NewTimer(max(wait, 0))
		select {
		case <-ctx.Done():
		case <-c.changes:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// keep looks once, and returns when to look again.
func (c *conditions) keep(ctx context.Context) (time.Duration, error) {
	wanted, err := c.wanted(ctx)
	if err != nil {
		return c.interval, err
	}
	failure := c.replicas.tell(ctx, digest(wanted)) // first, so that nobody narrows what is about to be opened
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

// digest names expressions by a short text.
func digest(wanted map[string]string) string {
	text, _ := json.Marshal(wanted) // texts alone; keys are sorted
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func (c *conditions) read(ctx context.Context, kind string) (*unstructured.Unstructured, error) {
	name := mutatingConfiguration
	if kind == "ValidatingWebhookConfiguration" {
		name = validatingConfiguration
	}
	live := &unstructured.Unstructured{}
	live.SetAPIVersion("admissionregistration.k8s.io/v1")
	live.SetKind(kind)
	if err := c.client.Get(ctx, client.ObjectKey{Name: name}, live); err != nil {
		return nil, fmt.Errorf("reading %s %s for its conditions: %w", kind, name, err)
	}
	return live, nil
}

// settle opens what is not as it is wanted, and narrows what is open once that is
// agreed. It returns when to look again.
func (c *conditions) settle(ctx context.Context, live *unstructured.Unstructured, wanted map[string]string, known bool) (time.Duration, error) {
	has := expressions(live)
	opened, narrow := map[string]string{}, map[string]string{}
	for hook, expression := range has {
		opened[hook], narrow[hook] = policy.Always, wanted[hook]
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

// expressions returns those of the conditions that are kept, by webhook.
func expressions(live *unstructured.Unstructured) map[string]string {
	found := map[string]string{}
	hooks, _, _ := unstructured.NestedSlice(live.Object, "webhooks")
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		name, _ := hook["name"].(string)
		list, _ := hook["matchConditions"].([]any)
		for _, m := range list {
			condition, _ := m.(map[string]any)
			if condition["name"] == policy.ConditionName {
				found[name], _ = condition["expression"].(string)
			}
		}
	}
	return found
}

// write puts expressions into a configuration that is still the one that was read,
// and returns when to look again.
func (c *conditions) write(ctx context.Context, live *unstructured.Unstructured, expressions map[string]string, told string) (time.Duration, error) {
	key := live.GetKind() + told
	if c.paces[key] == nil {
		c.paces[key] = &pace{}
	}
	if rest := c.paces[key].rest(); rest > 0 {
		return rest, nil
	}
	c.paces[key].took()
	hooks := make([]any, 0, len(expressions))
	for _, name := range slices.Sorted(maps.Keys(expressions)) {
		hooks = append(hooks, map[string]any{"name": name, "matchConditions": []any{
			map[string]any{"name": policy.ConditionName, "expression": expressions[name]},
		}})
	}
	want := &unstructured.Unstructured{Object: map[string]any{"webhooks": hooks}}
	want.SetGroupVersionKind(live.GroupVersionKind())
	want.SetName(live.GetName())
	want.SetUID(live.GetUID())
	want.SetResourceVersion(live.GetResourceVersion())
	err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), client.FieldOwner(conditionKeeper), client.ForceOwnership)
	if apierrors.IsConflict(err) {
		return c.paces[key].rest(), nil // somebody was faster: look again
	}
	if err != nil {
		return c.interval, fmt.Errorf("writing the conditions of %s: %w", live.GetName(), err)
	}
	c.log.Info(told, "configuration", live.GetName())
	return c.interval, nil
}
