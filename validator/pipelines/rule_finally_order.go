package pipelines

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var finallyOrderRule = &rule.Rule{
	ID:       "finally-order",
	Severity: rule.Error,
	Kinds:    rule.WithTasks,
	Doc: `Finds an order that finally tasks cannot have: runAfter in a finally task, runAfter of a
finally task, and the results of a finally task used in another task.

All finally tasks run at the same time, after all others. Tekton refuses the Pipeline
(pkg/apis/pipeline/v1/pipeline_validation.go, validateFinalTasks), and does not look into
a TriggerTemplate.`,
	Check: checkFinallyOrder,
}

func checkFinallyOrder(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		final := &names{}
		for _, task := range s.tasks() {
			if task.Final && task.Name != "" {
				final.add(task.Name)
			}
		}
		if len(final.list) == 0 {
			continue
		}
		for _, task := range s.tasks() {
			checkFinal(p, task, final)
		}
	}
}

func checkFinal(p *rule.Pass, task pipelineTask, final *names) {
	for _, named := range runAfterOf(task) {
		switch {
		case task.Final:
			p.Report(named.Path,
				"the finally task %q cannot run after another, since all finally tasks run at the same time: remove runAfter",
				task.Name)
		case final.has(named.Value):
			p.Report(named.Path,
				"%s cannot run after %q, which is a finally task and runs after all others: move it to finally, or that one to tasks",
				task.unit(), named.Value)
		}
	}
	for _, use := range usagesIn(task.Fields, task.Path, true, []string{"taskSpec", "pipelineSpec"}, "tasks",
		"finally") {
		if len(use.Parts) > 3 && use.Parts[2] == "results" && final.has(use.Parts[1]) {
			p.Report(use.Path,
				"%s is a result of a finally task, which no other task can use: move task %q to tasks",
				use.Text, use.Parts[1])
		}
	}
}
