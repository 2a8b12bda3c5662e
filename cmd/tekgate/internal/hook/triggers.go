package hook

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/forge"
)

// listedTrigger is a Trigger, or a trigger or trigger group of an EventListener, that asks
// Tekgate's interceptor.
type listedTrigger struct {
	name   string // as --trigger takes it
	what   string // for sentences
	params map[string]any
	refs   [][2]string
	labels labels.Set
	// listeners are the EventListeners of the namespace that name or select it.
	listeners []string
}

// is reports whether --trigger names it.
func (t *listedTrigger) is(name string) bool { return t.name == name }

// listTriggers returns all triggers of a namespace that ask Tekgate's interceptor.
func listTriggers(ctx context.Context, c client.Client, namespace string) ([]listedTrigger, error) {
	triggers, err := listKind(ctx, c, namespace, "Trigger")
	if err != nil {
		return nil, err
	}
	listeners, err := listKind(ctx, c, namespace, "EventListener")
	if err != nil {
		return nil, err
	}
	return listed(namespace, triggers, listeners), nil
}

func listKind(ctx context.Context, c client.Client, namespace, kind string) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(triggersObject(kind + "List").GroupVersionKind())
	if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the %ss of namespace %s: %w", kind, namespace, err)
	}
	return list.Items, nil
}

// listed takes the triggers out of their objects, which are of one namespace.
func listed(namespace string, triggers, listeners []unstructured.Unstructured) []listedTrigger {
	all := []listedTrigger{}
	add := func(name, what string, interceptors []any, listener string) {
		params, err := paramsIn(interceptors, what)
		if err != nil { // it asks others
			return
		}
		t := listedTrigger{name: name, what: what, params: params, refs: secretRefs(params)}
		if listener != "" {
			t.listeners = []string{listener}
		}
		all = append(all, t)
	}
	for i := range triggers {
		list, _, _ := unstructured.NestedSlice(triggers[i].Object, "spec", "interceptors")
		name := triggers[i].GetName()
		before := len(all)
		add(name, "Trigger "+namespace+"/"+name, list, "")
		for j := before; j < len(all); j++ {
			all[j].labels = labels.Merge(triggers[i].GetLabels(), nil) // never nil
		}
	}
	for i := range listeners {
		listener := listeners[i].GetName()
		at := "EventListener " + namespace + "/" + listener
		selects := selected(&listeners[i])
		for j := range all {
			if all[j].labels != nil && selects.Matches(all[j].labels) {
				all[j].listeners = append(all[j].listeners, listener)
			}
		}
		each(&listeners[i], "triggers", func(fields map[string]any, name string) {
			if ref, _ := fields["triggerRef"].(string); ref != "" {
				if j := slices.IndexFunc(all, func(t listedTrigger) bool { return t.name == ref }); j >= 0 {
					all[j].listeners = append(all[j].listeners, listener)
				}
				return
			}
			list, _, _ := unstructured.NestedSlice(fields, "interceptors")
			add(name, "trigger "+name+" of "+at, list, listener)
		})
		each(&listeners[i], "triggerGroups", func(fields map[string]any, name string) {
			list, _, _ := unstructured.NestedSlice(fields, "interceptors")
			add("group/"+name, "trigger group "+name+" of "+at, list, listener)
		})
	}
	return all
}

// selected returns which Triggers an EventListener selects, beside those that it names.
func selected(u *unstructured.Unstructured) labels.Selector {
	fields, found, _ := unstructured.NestedMap(u.Object, "spec", "labelSelector")
	_, spaces, _ := unstructured.NestedMap(u.Object, "spec", "namespaceSelector")
	if !found && !spaces {
		return labels.Nothing()
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &selector); err != nil {
		return labels.Nothing()
	}
	matches, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil { // Tekton refuses it, too
		return labels.Nothing()
	}
	return matches
}

// each calls do with the items of a list in the spec, and their names.
func each(u *unstructured.Unstructured, field string, do func(fields map[string]any, name string)) {
	items, _, _ := unstructured.NestedSlice(u.Object, "spec", field)
	for _, item := range items {
		fields, _ := item.(map[string]any)
		name, _ := fields["name"].(string)
		do(fields, name)
	}
}

// adopt takes the hook whose URL differs by http and https alone: it leads to the same
// EventListener, so a second one would deliver each event twice.
func (r *registering) adopt(s *site) {
	same := func(address string) string {
		_, rest, _ := strings.Cut(forge.Normalise(address), "://")
		return rest
	}
	for i := range s.hooks {
		if s.hook == nil && same(s.hooks[i].URL) == same(r.url) {
			s.hook = &s.hooks[i]
		}
	}
}

// warnClear warns of a secret that each delivery carries over an unencrypted connection.
func (r *registering) warnClear(streams cli.Streams, s *site) {
	if to, err := url.Parse(r.url); err == nil && to.Scheme == "http" &&
		slices.Contains([]string{"token", "password"}, s.mode()) {
		streams.Warn(fmt.Sprintf("%s sends the secret itself in mode %s, and --url is http, so it crosses the network in "+
			"clear: use an https URL, or a mode that signs", s.repository.Forge.Title(), s.mode()))
	}
}

// warnShared warns where another trigger of the same EventListener verifies the events of this
// repository with another Secret: the hook has one secret alone.
func (r *registering) warnShared(ctx context.Context, streams cli.Streams, s *site) error {
	if s.hook == nil || r.trigger == "" {
		return nil
	}
	all, err := listTriggers(ctx, s.client, r.namespace)
	if apierrors.IsForbidden(err) {
		return nil // the right is not needed for anything else here
	}
	own := slices.IndexFunc(all, func(t listedTrigger) bool { return t.is(r.trigger) })
	if err != nil || own < 0 {
		return err
	}
	for i := range all {
		t := &all[i]
		if t.is(r.trigger) || len(t.refs) == 0 || overlap(t.refs, s.refs) ||
			!overlap(t.listeners, all[own].listeners) ||
			t.params["provider"] != s.params["provider"] || !wants(t.params, s.repository.Path()) {
			continue
		}
		streams.Warn(fmt.Sprintf("%s verifies with %s of Secret %s/%s, but hook %s gets the secret of trigger %s: if both are "+
			"for this hook, give them the same secretRef",
			plain(t.what), plain(t.refs[0][1]), r.namespace, plain(t.refs[0][0]),
			plain(s.hook.ID), plain(r.trigger)))
	}
	return nil
}

func overlap[T comparable](a, b []T) bool {
	return slices.ContainsFunc(a, func(item T) bool { return slices.Contains(b, item) })
}

// wants reports whether a trigger's param repositories may allow a repository.
func wants(params map[string]any, path string) bool {
	list, _ := params["repositories"].([]any)
	return len(list) == 0 || slices.ContainsFunc(list, func(item any) bool {
		text, _ := item.(string)
		return strings.EqualFold(text, path) || strings.ContainsAny(text, "*?[{")
	})
}
