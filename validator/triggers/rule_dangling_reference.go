package triggers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var danglingReferenceRule = &rule.Rule{
	ID:       "dangling-reference",
	Severity: rule.Error,
	Others:   true,
	Discreet: true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds references of an EventListener or Trigger to objects which do not exist: a
TriggerBinding, ClusterTriggerBinding, TriggerTemplate, Trigger,
ClusterInterceptor or Interceptor.

Tekton accepts it, answers 202 to each event, and drops it
(tektoncd/triggers#1183, #1133, #1076): nothing but a line in the log of a Pod
tells that one letter of a name is wrong.

Looked at are bindings[].ref, template.ref, triggerRef and interceptors[].ref of each
trigger, and interceptors[].ref of each trigger group. What Triggers a selector picks
is not looked at, since they may come later.`,
	Check: checkDanglingReference,
}

func checkDanglingReference(ctx context.Context, p *rule.Pass) {
	for _, ref := range referencesIn(p) {
		mustExist(ctx, p, ref)
	}
}

// mustExist reports a reference to an object that does not exist.
func mustExist(ctx context.Context, p *rule.Pass, ref reference) {
	kind, namespace := schema.GroupKind{Group: rule.TriggersGroup, Kind: ref.kind}, p.Namespace
	if ref.inCluster() {
		namespace = ""
	}
	found, err := p.Cluster.Get(ctx, kind, namespace, ref.name)
	switch {
	case err != nil:
		p.Unknown(ref.path, "looking for "+ref.kind+" "+strconv.Quote(ref.name), err)
	case found == nil:
		existing := p.Similar(ctx, kind, namespace)
		if ref.kind == "ClusterInterceptor" && existing == nil {
			existing = walk.CoreInterceptors // which everyone knows
		}
		renamed := p.Renamed(kind, namespace, ref.name)
		if renamed != "" {
			renamed = p.DidYouMean(renamed)
		}
		p.Report(ref.path, "%s", ref.explain(namespace, existing, renamed))
	}
}

// reference is one place where an EventListener names another object.
type reference struct {
	path string
	kind string // of the object, in the group triggers.tekton.dev
	name string
	unit string // what stops working
}

func (r reference) inCluster() bool {
	return r.kind == "ClusterTriggerBinding" || r.kind == "ClusterInterceptor"
}

// explain says what is wrong; renamed asks whether an object with a longer name is meant, or is "".
func (r reference) explain(namespace string, existing []string, renamed string) string {
	where := fmt.Sprintf("namespace %q", namespace)
	switch {
	case r.inCluster():
		where = "the cluster"
	case namespace == "": // of files that name none
		where = "any namespace"
	}
	remedy := "create it first, or correct the name"
	if renamed != "" {
		remedy = renamed
	} else if question := suggest.DidYouMean(r.name, existing, ""); question != "" {
		remedy = question + " If not, create it first"
	}
	return fmt.Sprintf("%s %q does not exist in %s, so Tekton would answer 202 to every event for %s and drop it: %s",
		r.kind, r.name, where, r.unit, remedy)
}

// referencesIn returns all of them, trigger by trigger. What has an unexpected type
// has none.
func referencesIn(p *rule.Pass) []reference {
	var refs []reference
	all := walk.TriggersIn(p)
	for _, t := range all {
		refs = append(refs, interceptorReferences(t)...)
		refs = append(refs, bindingReferences(t)...)
	}
	for _, group := range walk.GroupsIn(p) {
		refs = append(refs, interceptorReferences(group)...)
	}
	return slices.DeleteFunc(refs, func(ref reference) bool { return ref.name == "" || ref.kind == "" })
}

func bindingReferences(t walk.Trigger) []reference {
	var r object.Reader
	var refs []reference
	for i, binding := range r.FieldsList(t.Fields, "bindings") {
		kind := "TriggerBinding"
		if r.Text(binding, "kind") == "ClusterTriggerBinding" {
			kind = "ClusterTriggerBinding"
		}
		refs = append(refs,
			reference{fmt.Sprintf("%s.bindings[%d].ref", t.Path, i), kind, r.Text(binding, "ref"), t.Unit})
	}
	template := r.Text(r.Fields(t.Fields, "template"), "ref")
	return append(refs,
		reference{t.Path + ".template.ref", "TriggerTemplate", template, t.Unit},
		reference{t.Path + ".triggerRef", "Trigger", r.Text(t.Fields, "triggerRef"), t.Unit})
}

func interceptorReferences(t walk.Trigger) []reference {
	var refs []reference
	for _, in := range walk.InterceptorsIn(t) {
		if in.Kind == "ClusterInterceptor" || in.Kind == "Interceptor" { // of another Tekton says that it is unknown
			refs = append(refs, reference{in.Path + ".ref.name", in.Kind, in.Name, t.Unit})
		}
	}
	return refs
}
