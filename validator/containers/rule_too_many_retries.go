package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var tooManyRetriesRule = &rule.Rule{
	ID:       "too-many-retries",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds retries of TaskRuns and of a pipeline's tasks that are more than
validator.policy.security.limits.retries.

Each retry runs the whole task again, within the same timeout of the run; what fails
by itself fails as often. Without the limit all pass.`,
	Check: checkTooManyRetries,
}

func checkTooManyRetries(_ context.Context, p *rule.Pass) {
	most := rule.PolicyOf[SecurityPolicy](p).Limits.Retries
	if most == nil {
		return
	}
	places := pipelineTasksIn(p)
	if p.Kind.Kind == "TaskRun" {
		spec, _ := p.Object["spec"].(map[string]any)
		places = append(places, place{Path: "spec", Unit: "this TaskRun", Fields: spec})
	}
	for _, at := range places {
		if retries, is := rule.Number(at.Fields["retries"]); is && retries > int64(*most) {
			p.Report(at.Path+".retries",
				"%s asks for %d retries, and validator.policy.security.limits.retries allows %d: lower it",
				at.Unit, retries, *most)
		}
	}
}
