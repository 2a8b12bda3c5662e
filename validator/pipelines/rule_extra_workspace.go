package pipelines

import (
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var extraWorkspaceRule = &rule.Rule{
	ID:       "extra-workspace",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds a workspace that a TaskRun, or the task of a Pipeline, binds and that the Task it names does not
declare. The run fails with "workspace binding … does not match any declared workspace"
(pkg/workspace/validate.go).

A Task that is written out may be given any workspace, and so may a Pipeline. A run of Pipelines-as-Code,
which writes out what it names, is passed over.`,
	Check: checkExtraWorkspace,
}

func checkExtraWorkspace(ctx context.Context, p *rule.Pass) {
	if isOfPipelinesAsCode(p) {
		return
	}
	for _, call := range resolvedCalls(ctx, p) {
		if call.Kind != "Task" || call.Name == "" {
			continue
		}
		declared := namesOf(call.Target, "workspaces")
		p.Step(1 + len(declared.all()))
		for _, binding := range itemsIn(call.Fields, call.Path, "workspaces") {
			if declared.has(binding.Name) || expression.Any(binding.Name) {
				continue
			}
			p.Report(binding.Path+".name",
				"%s binds the workspace %q, which %s does not declare, so the run would fail: %s",
				call.Unit, binding.Name, call.target(),
				remedyFor(p, binding.Name, declared.all, "remove it, or declare it there"))
		}
	}
}
