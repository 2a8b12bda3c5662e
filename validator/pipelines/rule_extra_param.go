package pipelines

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var extraParamRule = &rule.Rule{
	ID:       "extra-param",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds params that are given to a Task, Pipeline or StepAction which does not declare them.

Tekton ignores them in runs and in the tasks of a Pipeline: a misspelt name means that
the default is used, without a word. A StepAction's run fails
(pkg/reconciler/taskrun/resources/validate_params.go).

Where the specification is written out, a param that is used in it needs no
declaration. A Task or Pipeline that cannot be looked up is passed over.`,
	Check: checkExtraParam,
}

func checkExtraParam(ctx context.Context, p *rule.Pass) {
	for _, call := range resolvedCalls(ctx, p) {
		known := (*scope)(nil).with(call.Target)
		var used mentions
		if call.Name == "" {
			used = mentionsIn(rule.TextsIn(call.Target, ""))
			p.Step(len(used))
		}
		for _, given := range itemsIn(call.Fields, call.Path, "params") {
			if _, declared := known.param(given.Name); declared || call.Name == "" && used.of(given.Name) {
				continue
			}
			p.Report(given.Path, "%s declares no parameter %q, so that %s gives it for nothing: %s",
				call.target(), given.Name, call.Unit,
				remedyFor(p, given.Name, known.paramNames, "remove it, or declare it there"))
		}
	}
}
