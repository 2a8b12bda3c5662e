package validator

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/strict"
)

var danglingReferenceRule = Rule{
	ID:    "dangling-reference",
	Kinds: eventListeners,
	Mode:  func(c Config) Mode { return c.DanglingReference.Mode },
	Doc: `Refuses an EventListener that refers to objects which do not exist: a
TriggerBinding, ClusterTriggerBinding, TriggerTemplate, Trigger,
ClusterInterceptor or Interceptor.

Tekton accepts it, answers 202 to each event, and drops it
(tektoncd/triggers#1183, #1133, #1076): nothing but a line in the log of a Pod
tells that one letter of a name is wrong.

Configured by ` + "`validator.danglingReference.mode`" + `: enforce, which is the default,
warn or off. Where a folder is applied in one go and the EventListener comes
before what it refers to, either apply the folder twice or choose warn.

Looked at are, in spec.triggers, bindings[].ref, template.ref, triggerRef and
interceptors[].ref, and in spec.triggerGroups interceptors[].ref. What Triggers a
selector picks is not looked at, since they may come later.

Updates that leave the spec as it is pass, and so do all of an object that is
being deleted. Where the look-up fails the object passes with a warning.`,
	Check: checkDanglingReference,
}

func checkDanglingReference(ctx context.Context, in Input) Report {
	known := &names{ctx: ctx, in: in, lists: map[schema.GroupKind]list{}}
	var report Report
	for _, ref := range references(in.Object) {
		existing := known.of(ref)
		if existing.err != nil {
			report.Warnings = append(report.Warnings, fmt.Sprintf("%s was not checked: listing %s failed: %q",
				ref.path, ref.kind, existing.err))
			continue
		}
		if !slices.Contains(existing.names, ref.name) {
			report.Findings = append(report.Findings, Finding{Path: ref.path, Message: ref.explain(in.Namespace, existing.names)})
		}
	}
	return report
}

// names asks for each list once per object, and for none that no reference needs.
type names struct {
	ctx   context.Context
	in    Input
	lists map[schema.GroupKind]list
}

type list struct {
	names []string
	err   error
}

func (n *names) of(ref reference) list {
	kind := schema.GroupKind{Group: triggersGroup, Kind: ref.kind}
	if known, asked := n.lists[kind]; asked {
		return known
	}
	namespace := n.in.Namespace
	if ref.inCluster() {
		namespace = ""
	}
	var got list
	got.names, got.err = n.in.References.Names(n.ctx, kind, namespace)
	n.lists[kind] = got
	return got
}

// reference is one place where an EventListener names another object.
type reference struct {
	path string
	kind string // of the object, in the group triggers.tekton.dev
	name string
	unit string // what stops working: "trigger" or "trigger group"
}

func (r reference) inCluster() bool {
	return r.kind == "ClusterTriggerBinding" || r.kind == "ClusterInterceptor"
}

func (r reference) explain(namespace string, existing []string) string {
	where := fmt.Sprintf("namespace %q", namespace)
	if r.inCluster() {
		where = "the cluster"
	}
	remedy := "create it first, or correct the name"
	if best := strict.Closest(r.name, existing); best != "" {
		remedy = fmt.Sprintf("did you mean %q? If not, create it first", best)
	}
	return fmt.Sprintf("%s %q does not exist in %s, so Tekton would answer 202 to every event for this %s and drop it: %s",
		r.kind, r.name, where, r.unit, remedy)
}

// references returns all of them, trigger by trigger. What has an
// unexpected type has none.
func references(listener map[string]any) []reference {
	var r object.Reader
	var refs []reference
	spec := r.Fields(listener, "spec")
	for i, trigger := range r.FieldsList(spec, "triggers") {
		refs = append(refs, triggerReferences(fmt.Sprintf("spec.triggers[%d]", i), trigger)...)
	}
	for i, group := range r.FieldsList(spec, "triggerGroups") {
		refs = append(refs, interceptorReferences(fmt.Sprintf("spec.triggerGroups[%d]", i), "trigger group", group)...)
	}
	return slices.DeleteFunc(refs, func(ref reference) bool { return ref.name == "" || ref.kind == "" })
}

func triggerReferences(path string, trigger map[string]any) []reference {
	const unit = "trigger"
	var r object.Reader
	refs := interceptorReferences(path, unit, trigger)
	for i, binding := range r.FieldsList(trigger, "bindings") {
		kind := "TriggerBinding"
		if r.Text(binding, "kind") == "ClusterTriggerBinding" {
			kind = "ClusterTriggerBinding"
		}
		refs = append(refs, reference{fmt.Sprintf("%s.bindings[%d].ref", path, i), kind, r.Text(binding, "ref"), unit})
	}
	template := r.Text(r.Fields(trigger, "template"), "ref")
	return append(refs,
		reference{path + ".template.ref", "TriggerTemplate", template, unit},
		reference{path + ".triggerRef", "Trigger", r.Text(trigger, "triggerRef"), unit})
}

// interceptorKinds are the kinds that a reference to an interceptor may name,
// with those of the objects. Of another kind Tekton will say that it is unknown.
var interceptorKinds = map[string]string{
	"":                      "ClusterInterceptor",
	"ClusterInterceptor":    "ClusterInterceptor",
	"NamespacedInterceptor": "Interceptor",
}

func interceptorReferences(path, unit string, owner map[string]any) []reference {
	var r object.Reader
	var refs []reference
	for i, interceptor := range r.FieldsList(owner, "interceptors") {
		ref := r.Fields(interceptor, "ref")
		refs = append(refs, reference{
			path: fmt.Sprintf("%s.interceptors[%d].ref.name", path, i),
			kind: interceptorKinds[r.Text(ref, "kind")],
			name: r.Text(ref, "name"),
			unit: unit,
		})
	}
	return refs
}
