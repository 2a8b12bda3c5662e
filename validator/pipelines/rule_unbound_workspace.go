package pipelines

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var unboundWorkspaceRule = &rule.Rule{
	ID:       "unbound-workspace",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds a workspace that a Task or Pipeline declares, that is not optional, and that the
run or the task of a Pipeline does not bind. Runs in a TriggerTemplate are looked at too.

Tekton looks when the run starts, which then fails with "declared workspace … is
required but has not been bound" (pkg/workspace/validate.go). Workspaces do not
propagate to a Task by reference, only to one that is written out
(docs/pipelineruns.md, "Propagated Workspaces").

A Task's workspace is no more than a warning, since an administrator may have set
default-task-run-workspace-binding in the ConfigMap config-defaults: then Tekton binds what
is left, though not for a Pipeline.`,
	Check: checkUnboundWorkspace,
}

func checkUnboundWorkspace(ctx context.Context, p *rule.Pass) {
	var r object.Reader
	for _, call := range resolvedCalls(ctx, p) {
		if call.Kind == "StepAction" {
			continue
		}
		bound := map[string]bool{}
		for _, binding := range itemsIn(call.Fields, "", "workspaces") {
			bound[binding.Name] = true
		}
		for _, workspace := range itemsIn(call.Target, "", "workspaces") {
			optional := r.Flag(workspace.Fields, "optional")
			if optional || bound[workspace.Name] || call.Outer.has(workspace.Name) {
				continue
			}
			finding := p.Report(call.Path,
				"%s binds no workspace %q, which %s declares and which is not optional, so the run would fail: %s",
				call.Unit, workspace.Name, call.target(), bindingFor(p, workspace.Name, call))
			if call.Kind == "Task" {
				finding.Severity = rule.Warning
			}
		}
	}
}

// bindingFor is a remedy. Of the workspaces that the call binds for nothing one may be
// this one, misspelt.
func bindingFor(p *rule.Pass, name string, call callSite) string {
	best := p.Closest(name, func() []string {
		declared := namesOf(call.Target, "workspaces")
		return slices.DeleteFunc(namesOf(call.Fields, "workspaces").all(), declared.has)
	})
	if best != "" {
		return fmt.Sprintf("call the workspace %q by this name", best)
	}
	return "bind it in workspaces"
}
