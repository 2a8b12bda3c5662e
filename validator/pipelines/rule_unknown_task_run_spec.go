package pipelines

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var unknownTaskRunSpecRule = &rule.Rule{
	ID:       "unknown-task-run-spec",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.PipelineRuns,
	Doc: `Finds taskRunSpecs of a PipelineRun whose pipelineTaskName is no task of its Pipeline. The run fails with
"pipelineRun's taskrunSpecs defined wrong taskName" (pkg/reconciler/pipelinerun/resources).

A Pipeline that a resolver brings is passed over, unless ` + "`tekgate lint --resolve`" + ` fetched it.`,
	Check: checkUnknownTaskRunSpec,
}

func checkUnknownTaskRunSpec(ctx context.Context, p *rule.Pass) {
	var r object.Reader
	for _, call := range resolvedCalls(ctx, p) {
		if call.Kind != "Pipeline" || call.Path != "spec" {
			continue
		}
		tasks := namesOf(call.Target, "tasks")
		for _, name := range namesOf(call.Target, "finally").all() {
			tasks.add(name)
		}
		for i, own := range r.FieldsList(r.Fields(p.Object, "spec"), "taskRunSpecs") {
			name := r.Text(own, "pipelineTaskName")
			if name == "" || tasks.has(name) || expression.Any(name) {
				continue
			}
			p.Report(fmt.Sprintf("spec.taskRunSpecs[%d].pipelineTaskName", i),
				"taskRunSpecs has settings for the task %q, which %s does not have, so the run would fail: %s",
				name, pipelineOf(call), remedyFor(p, name, tasks.all, "remove them, or correct the name"))
		}
	}
}

func pipelineOf(call callSite) string {
	if call.Name == "" {
		return "the Pipeline"
	}
	return call.target()
}
