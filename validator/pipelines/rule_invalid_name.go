package pipelines

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/rule"
)

var invalidNameRule = &rule.Rule{
	ID:       "invalid-name",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds names of params, tasks and steps that Tekton does not take.

A parameter's name begins with a letter or an underscore and goes on with letters,
digits, -, _ and dots, which an object's may not have
(pkg/apis/pipeline/v1/task_validation.go). Names of tasks and steps become parts of the
names of TaskRuns and containers, so they are DNS labels: lower case letters, digits
and -, at most 63.`,
	Check: checkInvalidName,
}

var (
	paramName       = lazyregexp.New(`^[_a-zA-Z][_a-zA-Z0-9.-]*$`)
	objectParamName = lazyregexp.New(`^[_a-zA-Z][_a-zA-Z0-9-]*$`)
)

func checkInvalidName(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		for _, param := range itemsIn(s.Fields, s.Path, "params") {
			form, rest := paramName, "letters, digits, -, _ and dots"
			if declaredType(param.Fields) == "object" {
				form, rest = objectParamName, "letters, digits, - and _"
			}
			if !form.MatchString(param.Name) && !expression.Any(param.Name) {
				p.Report(param.Path+".name",
					"%q cannot be the name of a parameter: begin with a letter or _ and go on with %s",
					param.Name, rest)
			}
		}
		for _, step := range itemsIn(s.Fields, s.Path, "steps") {
			mustBeLabel(p, step, "step")
		}
		for _, task := range s.tasks() {
			if task.Name != "" {
				mustBeLabel(p, task.namedItem, "task")
			}
		}
	}
}

func mustBeLabel(p *rule.Pass, item namedItem, unit string) {
	if !expression.Any(item.Name) && len(validation.IsDNS1123Label(item.Name)) > 0 {
		p.Report(item.Path+".name",
			"%q cannot be the name of a %s: write lower case letters, digits and -, a letter or digit at both ends, at most 63",
			item.Name, unit)
	}
}
