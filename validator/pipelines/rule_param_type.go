package pipelines

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var paramTypeRule = &rule.Rule{
	ID:       "param-type",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds a param whose value is of another type than the Task, Pipeline or StepAction
declares: a string for an array, an array for a string. Also a default of another type
than its declaration, and a type that does not exist.

Tekton looks when the run starts, which then fails with "param types don't match the
user-specified type" (pkg/reconciler/taskrun/validate_taskrun.go).

A value that is nothing but a reference to a result of another task, or to a parameter of the
Pipeline, has the type with which that is declared, if it is known. Another string with a $(…) in
it is passed over, and so are the params of a matrix, see matrix-param.`,
	Check: checkParamType,
}

// paramTypes are the types of parameters.
var paramTypes = []string{"string", "array", "object"}

func checkParamType(ctx context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		for _, param := range itemsIn(s.Fields, s.Path, "params") {
			want, got := declaredType(param.Fields), valueType(param.Fields["default"])
			switch {
			case expression.Any(want):
			case !slices.Contains(paramTypes, want):
				p.Report(param.Path+".type",
					"parameter %q has the type %q, which does not exist: write string, array or object",
					param.Name, want)
			case got != "" && got != want:
				p.Report(param.Path+".default",
					"parameter %q is declared with the type %s and has a default of the type %s: correct one of them",
					param.Name, want, got)
			}
		}
	}
	for _, call := range resolvedCalls(ctx, p) {
		mustFit(p, call)
	}
	calls := taskCalls(ctx, p)
	for _, s := range specificationsIn(p) {
		var results resultTypes
		for _, task := range s.tasks() {
			if call, known := calls[task.Path]; known && len(itemsIn(task.Fields, "", "params")) > 0 {
				if results == nil {
					results = resultTypesOf(ctx, p, s)
				}
				mustFitReferences(p, call, s.Scope, results)
			}
		}
	}
}

// mustFitReferences looks at params of a pipeline's task that are references to results and parameters.
func mustFitReferences(p *rule.Pass, call callSite, around *scope, results resultTypes) {
	types := map[string]string{}
	for _, param := range itemsIn(call.Target, "", "params") {
		types[param.Name] = declaredType(param.Fields)
	}
	for _, given := range itemsIn(call.Fields, call.Path, "params") {
		value, _ := given.Fields["value"].(string)
		want := types[given.Name]
		if !expression.Any(value) || !slices.Contains(paramTypes, want) {
			continue
		}
		if got := typeOfValue(around, results, value); got != "" && got != want {
			p.Report(given.Path+".value",
				"parameter %q of %s takes the type %s and is given %s of the type %s, so the run would fail: declare both with one type",
				given.Name, call.target(), want, value, got)
		}
	}
}

// mustFit reports the params of a call whose values are of another type than declared.
func mustFit(p *rule.Pass, call callSite) {
	types := map[string]string{}
	for _, param := range itemsIn(call.Target, "", "params") {
		types[param.Name] = declaredType(param.Fields)
	}
	for _, given := range itemsIn(call.Fields, call.Path, "params") {
		want, got := types[given.Name], valueType(given.Fields["value"])
		value, _ := given.Fields["value"].(string)
		if got == "" || want == got || !slices.Contains(paramTypes, want) || expression.Any(value) {
			continue
		}
		p.Report(given.Path+".value",
			"parameter %q of %s takes the type %s and is given the type %s, so the run would fail: give it %s",
			given.Name, call.target(), want, got,
			map[string]string{"string": "a text", "array": "a list", "object": "an object"}[want])
	}
}
