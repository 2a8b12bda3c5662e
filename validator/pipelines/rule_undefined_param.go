package pipelines

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var undefinedParamRule = &rule.Rule{
	ID:       "undefined-param",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds $(params.x) where no parameter x is declared, and $(params.x.key) where x has no
such key.

Tekton refuses it in the steps of a Task, and leaves it as it stands elsewhere: in
sidecars, volumes, workspaces, the params of a resolver, and everywhere in a run
(pkg/apis/pipeline/v1/task_validation.go). A shell then takes it for a command.

What a run gives or a Pipeline declares may be used in the specifications that are
written out in it, since Tekton propagates it. Here-documents in the scripts of a run
are passed over: they may hold another object.`,
	Check: checkUndefinedParam,
}

func checkUndefinedParam(_ context.Context, p *rule.Pass) {
	if p.Inlined { // what the run gives is there too, and the run is judged by itself
		return
	}
	for _, s := range specificationsIn(p) {
		for _, use := range s.uses("params") {
			name := use.Parts[1]
			declarations, declared := s.Scope.param(name)
			_, dotted := s.Scope.param(strings.Join(use.Parts[1:], "."))
			switch {
			case dotted || strings.HasPrefix(name, "["):
			case !declared:
				p.Report(use.Path, "%s refers to a parameter %q that nothing declares, so it is not filled in: %s",
					use.Text, name, remedyFor(p, name, s.Scope.paramNames, "declare it in params"))
			case len(use.Parts) > 2 && !strings.HasPrefix(use.Parts[2], "["):
				keys, certain := keysOf(declarations)
				if certain && !slices.Contains(keys, use.Parts[2]) {
					p.Report(use.Path, "%s is not filled in, since parameter %q has no key %q: %s",
						use.Text, name, use.Parts[2], remedyFor(p, use.Parts[2], func() []string { return keys },
							"declare it as an object with this key in properties"))
				}
			}
		}
	}
}

// keysOf returns the keys that a parameter has by what is known of it. It reports
// false where a value may bring others.
func keysOf(known []map[string]any) ([]string, bool) {
	var r object.Reader
	var keys []string
	certain := len(known) > 0
	for _, param := range known {
		if param == nil || param["value"] != nil && valueType(param["value"]) != "object" {
			return nil, false
		}
		for _, part := range []string{"properties", "default", "value"} {
			keys = slices.AppendSeq(keys, maps.Keys(r.Fields(param, part)))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), certain && !r.Odd || allPlain(known)
}

// allPlain tells whether all declarations are of strings or arrays.
func allPlain(known []map[string]any) bool {
	return !slices.ContainsFunc(known, func(param map[string]any) bool { return declaredType(param) == "object" })
}
