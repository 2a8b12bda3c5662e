package pipelines

import (
	"context"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var missingParamRule = &rule.Rule{
	ID:       "missing-param",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds parameters without a default that a run, a task of a Pipeline or a step does not
give to its Task, Pipeline or StepAction, and keys of an object parameter that are
missing. Runs in a TriggerTemplate are looked at too.

Tekton accepts it, and the run fails with "missing values for these params which have
no default values" (pkg/reconciler/taskrun/validate_taskrun.go).

What propagates to a specification that is written out need not be given. A Task or
Pipeline that cannot be looked up is passed over.`,
	Check: checkMissingParam,
}

func checkMissingParam(ctx context.Context, p *rule.Pass) {
	for _, call := range resolvedCalls(ctx, p) {
		given := call.given()
		values := map[string][]namedItem{}
		for _, item := range itemsIn(call.Fields, call.Path, "params") {
			values[item.Name] = append(values[item.Name], item)
		}
		for _, param := range itemsIn(call.Target, "", "params") {
			_, propagated := call.Outer.param(param.Name)
			_, optional := param.Fields["default"]
			switch {
			case given[param.Name]:
				mustHaveKeys(p, call, param, values[param.Name])
			case !optional && !propagated:
				p.Report(call.Path,
					"%s needs parameter %q of %s, which has no default, so the run would fail: give it a value in params",
					call.Unit, param.Name, call.target())
			}
		}
	}
}

// mustHaveKeys reports the keys of an object parameter that are not given.
func mustHaveKeys(p *rule.Pass, call callSite, param namedItem, values []namedItem) {
	var r object.Reader
	for _, given := range values {
		value, is := given.Fields["value"].(map[string]any)
		if !is {
			continue
		}
		defaults := r.Fields(param.Fields, "default")
		for _, key := range slices.Sorted(maps.Keys(r.Fields(param.Fields, "properties"))) {
			if value[key] == nil && defaults[key] == nil {
				p.Report(given.Path+".value",
					"parameter %q of %s needs the key %q, which has no default, so the run would fail: add it",
					param.Name, call.target(), key)
			}
		}
	}
}
