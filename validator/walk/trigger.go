// Package walk finds the triggers in EventListeners and Triggers, and their interceptors.
//
// It is apart from package rule since it is about one kind of object, and apart from the
// groups since triggers, expressions and the core need it.
package walk

import (
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// Trigger is a trigger: an item of an EventListener's spec.triggers, or the
// specification of a Trigger.
type Trigger struct {
	Path   string // "spec.triggers[0]" or "spec"
	Fields map[string]any
	Unit   string // how to call it: `trigger "push"`, or its path where it has no name
}

// TriggersIn returns the triggers of an EventListener or Trigger, of any version. Of
// a selector's triggers it returns none: they are objects of their own.
func TriggersIn(p *rule.Pass) []Trigger {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	if p.Kind.Kind == "Trigger" {
		return []Trigger{{Path: "spec", Fields: spec, Unit: "this Trigger"}}
	}
	if p.Kind.Kind != "EventListener" {
		return nil
	}
	var found []Trigger
	for i, fields := range r.FieldsList(spec, "triggers") {
		path := fmt.Sprintf("spec.triggers[%d]", i)
		unit := "this trigger"
		if name := r.Text(fields, "name"); name != "" {
			unit = fmt.Sprintf("trigger %q", name)
		}
		found = append(found, Trigger{path, fields, unit})
	}
	return found
}

// GroupsIn returns the triggerGroups of an EventListener, which have interceptors as
// triggers have.
func GroupsIn(p *rule.Pass) []Trigger {
	var r object.Reader
	var found []Trigger
	if p.Kind.Kind != "EventListener" {
		return nil
	}
	for i, fields := range r.FieldsList(r.Fields(p.Object, "spec"), "triggerGroups") {
		unit := "this trigger group"
		if name := r.Text(fields, "name"); name != "" {
			unit = fmt.Sprintf("trigger group %q", name)
		}
		found = append(found, Trigger{fmt.Sprintf("spec.triggerGroups[%d]", i), fields, unit})
	}
	return found
}

// Interceptor is one of a trigger's or group's interceptors.
type Interceptor struct {
	Path   string // "spec.triggers[0].interceptors[0]"
	Fields map[string]any
	Kind   string // of the object that ref names: ClusterInterceptor or Interceptor; as written if it is another
	Name   string // that ref names, "" for a webhook, an inline form or an empty one
	Params map[string]rule.Param
	Unit   string // that of its trigger or group
}

// InterceptorKinds are the kinds that a reference to an interceptor may name, with
// those of the objects.
var InterceptorKinds = map[string]string{
	"":                      "ClusterInterceptor",
	"ClusterInterceptor":    "ClusterInterceptor",
	"NamespacedInterceptor": "Interceptor",
}

// Interceptors returns the interceptors of all triggers and groups of an object.
func Interceptors(p *rule.Pass) []Interceptor {
	return rule.Once(p, "walk.Interceptors", func() []Interceptor {
		return InterceptorsIn(append(TriggersIn(p), GroupsIn(p)...)...)
	})
}

// InterceptorsIn returns the interceptors of triggers and groups. A null one has no
// Fields.
func InterceptorsIn(triggers ...Trigger) []Interceptor {
	var r object.Reader
	var found []Interceptor
	for _, t := range triggers {
		for i, fields := range r.FieldsList(t.Fields, "interceptors") {
			ref := r.Fields(fields, "ref")
			in := Interceptor{
				Path: fmt.Sprintf("%s.interceptors[%d]", t.Path, i), Fields: fields, Unit: t.Unit,
				Name: r.Text(ref, "name"), Params: map[string]rule.Param{},
			}
			kind := r.Text(ref, "kind")
			in.Kind = kind
			if known, ok := InterceptorKinds[kind]; ok {
				in.Kind = known
			}
			for _, p := range rule.ParamsIn(fields, in.Path) {
				in.Params[p.Name] = p
			}
			found = append(found, in)
		}
	}
	return found
}

// CoreInterceptors are the ClusterInterceptors that every installation has: those of
// Tekton Triggers v0.37.0 (config/interceptors) and Tekgate's own.
var CoreInterceptors = []string{"bitbucket", "cel", "github", "gitlab", "slack", "tekgate"}
