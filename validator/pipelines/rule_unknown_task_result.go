package pipelines

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var unknownTaskResultRule = &rule.Rule{
	ID:       "unknown-task-result",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTasks,
	Doc: `Finds $(tasks.t.results.x), in a Pipeline, where the Task of t declares no result x.

Tekton accepts it; the run fails when it comes to the task that uses it, with
InvalidTaskResultReference (pkg/reconciler/pipelinerun/pipelinerun.go).

Looked at are Tasks that are written out and those of the namespace. What a resolver
brings is known with ` + "`tekgate lint --resolve`" + ` and passed over otherwise, as custom tasks are.`,
	Check: checkUnknownTaskResult,
}

func checkUnknownTaskResult(ctx context.Context, p *rule.Pass) {
	results := map[string]callSite{}
	for _, call := range resolvedCalls(ctx, p) {
		results[call.Path] = call
	}
	for _, s := range specificationsIn(p) {
		uses := map[string][]usage{} // by task
		for _, use := range pipelineUsages(s) {
			uses[use.Parts[1]] = append(uses[use.Parts[1]], use)
		}
		if len(uses) == 0 {
			continue
		}
		for _, task := range s.tasks() {
			call, known := results[task.Path]
			if !known || call.Kind != "Task" {
				continue
			}
			mustHaveResults(p, task, call, uses[task.Name])
		}
	}
}

func mustHaveResults(p *rule.Pass, task pipelineTask, call callSite, uses []usage) {
	declared := namesOf(call.Target, "results")
	for _, use := range uses {
		if len(use.Parts) > 3 && use.Parts[2] == "results" &&
			!declared.has(use.Parts[3]) {
			p.Report(use.Path, "%s refers to a result %q that %s does not declare, so the run would fail: %s",
				use.Text, use.Parts[3], resultsOf(task, call),
				remedyFor(p, use.Parts[3], declared.all, "declare it in its results"))
		}
	}
}

func resultsOf(task pipelineTask, call callSite) string {
	if call.Name == "" {
		return task.unit()
	}
	return call.target() + " of " + task.unit()
}

// pipelineUsages returns the expressions of a pipeline about its tasks, those in
// taskSpecs too, to which results propagate. Those of pipelines within it and of custom
// tasks are not among them, nor here-documents.
func pipelineUsages(s specification) []usage {
	var r object.Reader
	if s.Kind != "Pipeline" {
		return nil
	}
	found := s.uses("tasks", "finally")
	for _, task := range s.tasks() {
		if !task.Custom {
			found = append(found,
				usagesIn(r.Fields(task.Fields, "taskSpec"), task.Path+".taskSpec", true, nil, "tasks")...)
		}
	}
	return found
}
