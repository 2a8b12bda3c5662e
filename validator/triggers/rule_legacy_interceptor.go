package triggers

import (
	"context"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// inlineInterceptors are those that old releases wrote out under their own name.
var inlineInterceptors = []string{"bitbucket", "cel", "github", "gitlab"}

// inlineName is the name of an interceptor that is written out as in old releases.
func inlineName(in walk.Interceptor) (string, bool) {
	for _, name := range inlineInterceptors {
		if _, found := in.Fields[name]; found {
			return name, true
		}
	}
	return "", false
}

// modern is an interceptor that is written out, as a reference with params. Those
// have paths of their own.
func modern(in walk.Interceptor) walk.Interceptor {
	name, inline := inlineName(in)
	if !inline || in.Name != "" {
		return in
	}
	var r object.Reader
	in.Name, in.Kind, in.Params = name, "ClusterInterceptor", map[string]rule.Param{}
	for key, value := range r.Fields(in.Fields, name) {
		in.Params[key] = rule.Param{Path: in.Path + "." + name + "." + key, Name: key, Value: value}
	}
	return in
}

var legacyInterceptorRule = &rule.Rule{
	ID:       "legacy-interceptor",
	Severity: rule.Warning,
	Kinds:    slices.Concat(rule.EventListeners[1:], rule.Triggers[1:]),
	Doc: `Finds interceptors github, gitlab, bitbucket and cel that are written out under their own
name in v1alpha1, in place of a ref and params.

Tekton Triggers v0.37.0 still turns them into the form of today, in v1alpha1 alone
(updateCoreInterceptors in pkg/apis/triggers/v1alpha1/trigger_types.go); v1beta1 refuses
them, which is that of legacy-trigger.`,
	Check: func(_ context.Context, p *rule.Pass) {
		legacyInterceptors(p, "and only v1alpha1 still takes that")
	},
}

// legacyInterceptors reports interceptors that are written out.
func legacyInterceptors(p *rule.Pass, effect string) {
	for _, in := range walk.Interceptors(p) {
		if name, inline := inlineName(in); inline {
			legacyInterceptor(p, in, name, effect)
		}
	}
}

func legacyInterceptor(p *rule.Pass, in walk.Interceptor, name, effect string) {
	var r object.Reader
	params, modern := r.Fields(in.Fields, name),
		map[string]any{"ref": map[string]any{"name": name, "kind": "ClusterInterceptor"}}
	finding := p.Report(in.Path+"."+name,
		"interceptors are no longer written out by name, %s: write ref: {name: %s} and its fields as params with name and value",
		effect, name)
	if r.Odd || in.Fields["ref"] != nil || in.Fields["webhook"] != nil || in.Fields["params"] != nil {
		return
	}
	items, certain := asParams(p, params)
	if !certain {
		return
	}
	if len(items) > 0 {
		modern["params"] = items
	}
	if called := in.Fields["name"]; called != nil {
		modern["name"] = called
	}
	p.Mend(finding, rule.Edit{Op: "replace", Path: in.Path, Value: modern})
}

// asParams writes the fields of an inline interceptor as params. A Secret of another
// namespace has no modern form: then nothing is certain.
func asParams(p *rule.Pass, fields map[string]any) (items []any, certain bool) {
	var r object.Reader
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name]
		if ref, is := value.(map[string]any); is && ref["namespace"] != nil {
			if r.Text(ref, "namespace") != p.Namespace {
				return nil, false
			}
			ref = maps.Clone(ref)
			delete(ref, "namespace")
			value = ref
		}
		items = append(items, map[string]any{"name": name, "value": value})
	}
	return items, true
}
