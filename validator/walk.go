package validator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
)

// trigger is a trigger: an item of an EventListener's spec.triggers, or the
// specification of a Trigger.
type trigger struct {
	Path   string // "spec.triggers[0]" or "spec"
	Fields map[string]any
	Unit   string // how to call it: `trigger "push"`, or its path where it has no name
}

// triggersIn returns the triggers of an EventListener or Trigger, of any version. Of
// a selector's triggers it returns none: they are objects of their own.
func triggersIn(p *Pass) []trigger {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	if p.Kind.Kind == "Trigger" {
		return []trigger{{Path: "spec", Fields: spec, Unit: "this Trigger"}}
	}
	if p.Kind.Kind != "EventListener" {
		return nil
	}
	var found []trigger
	for i, fields := range r.FieldsList(spec, "triggers") {
		path := fmt.Sprintf("spec.triggers[%d]", i)
		unit := "this trigger"
		if name := r.Text(fields, "name"); name != "" {
			unit = fmt.Sprintf("trigger %q", name)
		}
		found = append(found, trigger{path, fields, unit})
	}
	return found
}

// groupsIn returns the triggerGroups of an EventListener, which have interceptors as
// triggers have.
func groupsIn(p *Pass) []trigger {
	var r object.Reader
	var found []trigger
	if p.Kind.Kind != "EventListener" {
		return nil
	}
	for i, fields := range r.FieldsList(r.Fields(p.Object, "spec"), "triggerGroups") {
		unit := "this trigger group"
		if name := r.Text(fields, "name"); name != "" {
			unit = fmt.Sprintf("trigger group %q", name)
		}
		found = append(found, trigger{fmt.Sprintf("spec.triggerGroups[%d]", i), fields, unit})
	}
	return found
}

// interceptor is one of a trigger's or group's interceptors.
type interceptor struct {
	Path   string // "spec.triggers[0].interceptors[0]"
	Fields map[string]any
	Kind   string // of the object that ref names: ClusterInterceptor or Interceptor; as written if it is another
	Name   string // that ref names, "" for a webhook, an inline form or an empty one
	Params map[string]param
	Unit   string // that of its trigger or group
}

// param is a name with a value, and where it stands.
type param struct {
	Path  string // of the item of the list: "….params[0]"
	Name  string
	Value any // of any JSON type; nil where there is none
}

// interceptorKinds are the kinds that a reference to an interceptor may name, with
// those of the objects.
var interceptorKinds = map[string]string{
	"":                      "ClusterInterceptor",
	"ClusterInterceptor":    "ClusterInterceptor",
	"NamespacedInterceptor": "Interceptor",
}

// interceptorsIn returns the interceptors of triggers and groups. A null one has no
// Fields.
func interceptorsIn(triggers ...trigger) []interceptor {
	var r object.Reader
	var found []interceptor
	for _, t := range triggers {
		for i, fields := range r.FieldsList(t.Fields, "interceptors") {
			ref := r.Fields(fields, "ref")
			in := interceptor{
				Path: fmt.Sprintf("%s.interceptors[%d]", t.Path, i), Fields: fields, Unit: t.Unit,
				Name: r.Text(ref, "name"), Params: map[string]param{},
			}
			kind := r.Text(ref, "kind")
			in.Kind = kind
			if known, ok := interceptorKinds[kind]; ok {
				in.Kind = known
			}
			for _, p := range paramsIn(fields, in.Path) {
				in.Params[p.Name] = p
			}
			found = append(found, in)
		}
	}
	return found
}

// paramsIn returns the params of anything that has a list of them, in their order.
// The value of one that only declares (a Task's, a TriggerTemplate's) is its default.
func paramsIn(fields map[string]any, path string) []param {
	var r object.Reader
	var found []param
	for i, item := range r.FieldsList(fields, "params") {
		value, given := item["value"]
		if !given {
			value = item["default"]
		}
		found = append(found, param{fmt.Sprintf("%s.params[%d]", path, i), r.Text(item, "name"), value})
	}
	return found
}

// once returns what a walk over the object of a pass finds. Many rules ask for the same,
// so it is remembered until the object has been judged; nobody may change it.
func once[T any](p *Pass, name string, walk func() []T) []T {
	if p.walked == nil { // a pass of a rule's own
		return walk()
	}
	if known, ok := p.walked[name].([]T); ok {
		return known
	}
	found := slices.Clip(walk())
	p.walked[name] = found
	return found
}

// text is a text somewhere in decoded JSON.
type text struct {
	Path  string // below the path that was given
	Value string
}

// textsIn returns all texts in a value, in the order of their keys and positions. The
// keys themselves are none of them.
func textsIn(value any, path string) []text {
	return appendTexts(nil, value, path, "")
}

// expressionsIn returns those of textsIn that may hold an expression.
func expressionsIn(value any, path string) []text {
	return appendTexts(nil, value, path, "$(")
}

// specExpressions returns those of the specification of an object.
func specExpressions(p *Pass) []text {
	return once(p, "specExpressions", func() []text { return expressionsIn(p.Object["spec"], "spec") })
}

func appendTexts(found []text, value any, path, holding string) []text {
	switch v := value.(type) {
	case string:
		if strings.Contains(v, holding) {
			return append(found, text{path, v})
		}
	case []any:
		for i, item := range v {
			if !scalar(item, holding) {
				found = appendTexts(found, item, path+"["+strconv.Itoa(i)+"]", holding)
			}
		}
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if item := v[key]; !scalar(item, holding) {
				found = appendTexts(found, item, join(path, key), holding)
			}
		}
	}
	return found
}

// scalar tells whether a value can hold no text that is looked for, so that its path need
// not be put together.
func scalar(value any, holding string) bool {
	switch v := value.(type) {
	case string:
		return !strings.Contains(v, holding)
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return true
}

func sortedKeys(fields map[string]any) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// join appends a field to a path. A key that is not a plain field name stands in
// brackets: metadata.labels[app.kubernetes.io/name].
func join(path, key string) string {
	for _, c := range key {
		if c == '.' || c == '/' || c == '[' || c == ']' || c == ' ' {
			return path + "[" + key + "]"
		}
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// embedded returns the objects that a TriggerTemplate, or a template within a trigger,
// is to create.
func embedded(p *Pass) []*Pass {
	if p.Kind.Group != triggersGroup {
		return nil
	}
	var r object.Reader
	if p.Kind.Kind == "TriggerTemplate" {
		return embeddedIn(p, p.Object, "spec")
	}
	var inner []*Pass
	for _, t := range triggersIn(p) {
		if template := r.Fields(t.Fields, "template"); template["spec"] != nil {
			inner = append(inner, embeddedIn(p, template, t.Path+".template.spec")...)
		}
	}
	return inner
}

// embeddedIn returns the objects of one template, whose specification is at path.
func embeddedIn(p *Pass, template map[string]any, path string) []*Pass {
	var r object.Reader
	var inner []*Pass
	for i, fields := range r.FieldsList(r.Fields(template, "spec"), "resourcetemplates") {
		gv, err := schema.ParseGroupVersion(r.Text(fields, "apiVersion"))
		kind := r.Text(fields, "kind")
		if fields == nil || err != nil || kind == "" {
			continue
		}
		namespace := p.Namespace
		if own := r.Text(r.Fields(fields, "metadata"), "namespace"); own != "" {
			namespace = own
		}
		inner = append(inner, &Pass{
			Object: fields, Kind: gv.WithKind(kind), Namespace: namespace, Policy: p.Policy,
			Template: template, at: fmt.Sprintf("%s.resourcetemplates[%d].", path, i),
		})
	}
	return inner
}

// number reads a JSON number of any of the types that decoders make of it.
func number(value any) (int64, bool) {
	switch n := value.(type) {
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	case int64:
		return n, true
	case float64:
		return int64(n), n == float64(int64(n))
	}
	return 0, false
}
