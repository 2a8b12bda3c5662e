package pipelines

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var unknownTaskRule = &rule.Rule{
	ID:       "unknown-task",
	Severity: rule.Error,
	Kinds:    rule.WithTasks,
	Doc: `Finds runAfter, from and $(tasks.t.…), in a Pipeline, that name a task which the Pipeline
does not have.

Tekton refuses the Pipeline where it notices (pkg/reconciler/pipeline/dag). It does not
look into a TriggerTemplate, and in scripts it leaves the expression as it stands.`,
	Check: checkUnknownTask,
}

func checkUnknownTask(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		known := &names{}
		for _, task := range s.tasks() {
			known.add(task.Name)
		}
		for _, task := range s.tasks() {
			for _, named := range runAfterOf(task) {
				if !known.has(named.Value) && !expression.Any(named.Value) {
					p.Report(named.Path, "the Pipeline has no task %q, after which %s would run: %s",
						named.Value, task.unit(), remedyFor(p, named.Value, known.all, "remove it, or add the task"))
				}
			}
		}
		for _, use := range pipelineUsages(s) {
			if len(use.Parts) > 2 && !known.has(use.Parts[1]) {
				p.Report(use.Path, "%s refers to a task %q that the Pipeline does not have: %s",
					use.Text, use.Parts[1], remedyFor(p, use.Parts[1], known.all, "correct the name, or add the task"))
			}
		}
	}
}

// runAfterOf returns the names in a task's runAfter, and in the from of its resources,
// which Tekton had before v0.46.
func runAfterOf(task pipelineTask) []rule.Text {
	var r object.Reader
	found := rule.TextsIn(r.List(task.Fields, "runAfter"), task.Path+".runAfter")
	for i, input := range r.FieldsList(r.Fields(task.Fields, "resources"), "inputs") {
		found = append(found,
			rule.TextsIn(r.List(input, "from"), fmt.Sprintf("%s.resources.inputs[%d].from", task.Path, i))...)
	}
	return found
}
