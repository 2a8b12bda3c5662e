package pipelines

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var removedConditionsRule = &rule.Rule{
	ID:       "removed-conditions",
	Severity: rule.Error,
	Since:    "v0.37.0",
	Kinds:    slices.Concat(rule.WithTasks, rule.Served(rule.TektonGroup, "Condition", "v1alpha1")),
	Doc: `Finds Conditions: objects of this kind, and conditions of the tasks of a Pipeline.

Tekton Pipelines removed them in v0.37 in favour of when. Where the
field is not refused it is dropped, and the task runs always. Write

    when:
      - input: $(params.branch)
        operator: in
        values: [main]

and let a task before it find out, with a result, what no parameter says.`,
	Check: checkRemovedConditions,
}

func checkRemovedConditions(_ context.Context, p *rule.Pass) {
	var r object.Reader
	if p.Kind.Kind == "Condition" {
		p.Report("spec",
			"Conditions were removed in Tekton Pipelines v0.37: make its check a Task with a result, and use that in when")
		return
	}
	for _, s := range specificationsIn(p) {
		for _, task := range s.tasks() {
			if len(r.List(task.Fields, "conditions")) > 0 {
				p.Report(task.Path+".conditions",
					"conditions were removed in Tekton Pipelines v0.37, so Tekton refuses or ignores those of %s: write when with input, operator and values",
					task.unit())
			}
		}
	}
}
