package sources

import (
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// Reference is a reference to what a resolver fetches.
type Reference struct {
	Path     string            // of the reference in the object, such as spec.taskRef
	Kind     string            // Task, Pipeline or StepAction
	Resolver string            // bundles, git, …
	Params   map[string]string // those that are texts, filled in as far as their values are known
}

// ReferencesIn returns the references of an object that a resolver fetches. Of a Pipeline and a Task the
// defaults of its params count, since they are what it is fetched with unless a run says otherwise; params are
// those that it is known to be given.
func ReferencesIn(p *rule.Pass, params []map[string]any) []Reference {
	if pass, from, to, ok := asRun(p, params); ok {
		found := ReferencesIn(pass, nil)
		for i := range found {
			found[i].Path = to + strings.TrimPrefix(found[i].Path, from)
		}
		return found
	}
	var found []Reference
	for _, s := range sourcesIn(p) {
		r := Reference{Path: s.Path, Kind: s.Kind, Resolver: s.Resolver, Params: map[string]string{}}
		for name, param := range s.Params {
			if text, is := param.Value.(string); is {
				r.Params[name] = text
			}
		}
		if s.Bundle != "" {
			r.Resolver = "bundles"
			r.Params = map[string]string{"bundle": s.Bundle, "name": s.Name, "kind": strings.ToLower(s.Kind)}
		}
		if r.Resolver != "" && !s.Inline {
			found = append(found, r)
		}
	}
	return found
}

// asRun returns the pass of a run with the specification of a Task or Pipeline in it, and the paths of the
// specification there and here.
func asRun(p *rule.Pass, params []map[string]any) (pass *rule.Pass, from, to string, ok bool) {
	kind, key := "TaskRun", "taskSpec"
	switch p.Kind.Kind {
	case "Task", "ClusterTask":
	case "Pipeline":
		kind, key = "PipelineRun", "pipelineSpec"
	default:
		return nil, "", "", false
	}
	var r object.Reader
	given := make([]any, 0, len(params))
	for _, param := range params {
		given = append(given, param)
	}
	run := map[string]any{"apiVersion": p.Kind.GroupVersion().String(), "kind": kind,
		"spec": map[string]any{"params": given, key: r.Fields(p.Object, "spec")}}
	pass = p.With(run)
	pass.Kind.Kind = kind
	return pass, "spec." + key, "spec", true
}
