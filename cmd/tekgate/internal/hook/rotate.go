package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// maxRefs is how many secretRefs the interceptor accepts.
const maxRefs = 8

// confirmations is how many deliveries in a row must be verified by a new secret: an
// EventListener may have several replicas, each of which learns of the Trigger on its own.
const confirmations = 3

// learnTime is how long an EventListener may use what a trigger was before an edit.
const learnTime = time.Minute

var rotatedSuffix = lazyregexp.New(`-[0-9]{14}$`)

// rotatedKey returns the name of the key for a new value.
func rotatedKey(key string, now time.Time) string {
	return rotatedSuffix.ReplaceAllString(key, "") + "-" + now.UTC().Format("20060102150405")
}

// replace rotates the hook's secret. At every moment, all secrets that may sign are in the
// Trigger's secretRefs.
func (r *registering) replace(ctx context.Context, streams cli.Streams, s *site, o *observer) error {
	if err := r.rotatable(ctx, s); err != nil {
		return err
	}
	old := s.refs
	k := r.key(s)
	k.key = rotatedKey(k.key, time.Now())
	s.refs = append([][2]string{{k.name, k.key}}, old...)
	result := r.result(s)
	var undo undoing
	stored, action, remove, err := k.ensure(ctx, newSecret(s.mode()))
	if err != nil {
		return err
	}
	result.Secret.Action = action
	undo.add("the new "+k.String(), remove)
	restore, err := setRefs(ctx, s.client, r.namespace, r.trigger, s.refs)
	if err != nil {
		return undo.after(ctx, err)
	}
	undo.add("the new entry in the Trigger's secretRefs", restore)
	params := withRefs(s.params, s.refs)
	if err := r.confirm(ctx, streams, s, params, o, stored); err != nil {
		return undo.after(ctx, err)
	}
	if err := o.mark(ctx); err != nil {
		return undo.after(ctx, err)
	}
	s.params, o.secret = params, k.name+"/"+k.key // others are still on their way
	made, err := r.write(ctx, s, &forge.Want{URL: r.url, Secret: string(stored), Mode: s.mode(), Events: r.events,
		NewSecret: true}, &undo)
	if err != nil {
		return undo.after(ctx, err)
	}
	result.Hook.ID = plain(made.ID)
	if result.Test, err = r.try(ctx, streams, s, o, made, stored); err != nil {
		return undo.after(ctx, err)
	}
	if !result.Test.arrived() {
		err = cli.Exit(2, undo.after(ctx, errors.New(result.Test.String())))
	}
	if err := errors.Join(r.print(streams, result), err); err != nil {
		return err
	}
	return r.retire(ctx, streams, s, old)
}

// rotatable refuses a rotation that cannot be done, before anything is changed.
func (r *registering) rotatable(ctx context.Context, s *site) error {
	if s.hook == nil {
		return fmt.Errorf("%s has no hook for %s: register it first, without --rotate", s.repository.Path(), shown(r.url))
	}
	if len(s.refs) >= maxRefs {
		return fmt.Errorf("the Trigger lists %d secretRefs, and no more are possible: remove those that are no longer used",
			len(s.refs))
	}
	all, err := listTriggers(ctx, s.client, r.namespace)
	if err != nil {
		return fmt.Errorf("looking for other triggers that use the same Secret: %w", err)
	}
	var others []string
	for _, t := range all {
		if !t.is(r.trigger) && overlap(t.refs, s.refs) {
			others = append(others, t.what)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("%s also verifies for %s, which --rotate would not change, so their events would be refused: "+
		"use one Trigger for this hook, or add a new key to the secretRefs of all of them by hand and then change the hook",
		r.key(s), plain(strings.Join(others, " and ")))
}

// confirm waits until deliveries that are signed with the new secret are verified by it.
func (r *registering) confirm(ctx context.Context, streams cli.Streams, s *site, params map[string]any, o *observer,
	secret []byte) error {
	wanted := s.refs[0][0] + "/" + s.refs[0][1]
	pause := settled
	for seen, end := 0, time.Now().Add(max(r.wait, learnTime)); seen < confirmations; {
		t, err := r.byTekgate(ctx, s, params, o, secret)
		switch {
		case err != nil:
			return err
		case slices.Contains([]string{stageDNS, stageConnect, stageTLS, stageHTTP}, t.Stage):
			streams.Warn(fmt.Sprintf("%s: so EventListeners get %s to learn of the new secret", t, learnTime))
			return wait(ctx, learnTime)
		case t.Secret == wanted:
			seen++
			continue
		case t.Stage == stageFilter:
			return fmt.Errorf("the trigger refuses the test before its signature is checked (%s): name an event of its eventTypes",
				t.Message)
		}
		if seen = 0; time.Now().After(end) {
			return fmt.Errorf("the new secret did not verify in time: %s", t)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause *= 2 // each refused delivery counts as a guess at the interceptor
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// retire removes the old secrets, or says how.
func (r *registering) retire(ctx context.Context, streams cli.Streams, s *site, old [][2]string) error {
	if r.removeAfter == 0 {
		for _, ref := range old {
			fmt.Fprintf(streams.ErrOut, "the old key %s of Secret %s/%s still verifies: when no delivery uses it any more, "+
				"remove it from the Trigger's secretRefs and from the Secret\n", ref[1], r.namespace, ref[0])
		}
		return nil
	}
	if err := wait(ctx, r.removeAfter); err != nil {
		return fmt.Errorf("the secret is replaced, but the old one stays: %w", err)
	}
	if _, err := setRefs(ctx, s.client, r.namespace, r.trigger, s.refs[:1]); err != nil {
		return fmt.Errorf("the secret is replaced, but the old one stays: %w", err)
	}
	// EventListeners may use what the Trigger was, whose other secret is then missing, which
	// does not matter: the new one is tried, too.
	for _, ref := range old {
		k := secretKey{client: s.client, namespace: r.namespace, name: ref[0], key: ref[1]}
		if err := k.remove(ctx); err != nil {
			return fmt.Errorf("the secret is replaced, but the %s stays: %w", k, err)
		}
		fmt.Fprintf(streams.ErrOut, "removed %s\n", k)
	}
	return nil
}

// setRefs sets the secretRefs of a trigger, in place of secretRef, and returns what undoes
// it. It fails if the trigger changes at the same time.
func setRefs(ctx context.Context, c client.Client, namespace, name string, refs [][2]string) (
	func(context.Context) error, error) {
	place, err := findTrigger(ctx, c, namespace, name)
	if err != nil {
		return nil, err
	}
	at, own := ownInterceptor(place.interceptors)
	params, _, _ := unstructured.NestedSlice(own, "params")
	index := slices.IndexFunc(params, func(p any) bool {
		pair, _ := p.(map[string]any)
		return pair["name"] == "secretRef" || pair["name"] == "secretRefs"
	})
	if index < 0 {
		return nil, fmt.Errorf("changing %s: it has no secretRef", place.what)
	}
	before := params[index]
	after := map[string]any{"name": "secretRefs", "value": refList(refs)}
	pointer := fmt.Sprintf("%s/%d/params/%d", place.pointer, at, index)
	patch := func(ctx context.Context, from, to any) error {
		text, err := json.Marshal([]any{
			map[string]any{"op": "test", "path": pointer, "value": from},
			map[string]any{"op": "replace", "path": pointer, "value": to},
		})
		if err != nil {
			return err
		}
		object := place.object.DeepCopy()
		err = c.Patch(ctx, object, client.RawPatch(types.JSONPatchType, text), client.FieldOwner(hookManager))
		if err != nil {
			return fmt.Errorf("changing the secretRefs of %s: %w", place.what, err)
		}
		return nil
	}
	if err := patch(ctx, before, after); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return patch(ctx, after, before) }, nil
}
