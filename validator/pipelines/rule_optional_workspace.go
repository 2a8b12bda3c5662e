package pipelines

import (
	"cmp"
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var optionalWorkspaceRule = &rule.Rule{
	ID:       "optional-workspace",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTasks,
	Doc: `Finds a workspace that a Pipeline declares as optional and passes to a Task that requires it. The run fails
with "pipeline workspace … is marked optional but pipeline task … requires it be provided", also where the
run binds the workspace (pkg/reconciler/pipelinerun/resources/validate_dependencies.go).`,
	Check: checkOptionalWorkspace,
}

func checkOptionalWorkspace(ctx context.Context, p *rule.Pass) {
	var r object.Reader
	calls := taskCalls(ctx, p)
	for _, s := range specificationsIn(p) {
		optional := map[string]bool{}
		for _, workspace := range itemsIn(s.Fields, s.Path, "workspaces") {
			if s.Kind == "Pipeline" && r.Flag(workspace.Fields, "optional") {
				optional[workspace.Name] = true
			}
		}
		if len(optional) == 0 {
			continue
		}
		for _, task := range s.tasks() {
			required := map[string]bool{}
			for _, workspace := range itemsIn(calls[task.Path].Target, "", "workspaces") {
				required[workspace.Name] = !r.Flag(workspace.Fields, "optional")
			}
			for _, binding := range itemsIn(task.Fields, task.Path, "workspaces") {
				name := cmp.Or(r.Text(binding.Fields, "workspace"), binding.Name)
				if optional[name] && required[binding.Name] {
					p.Report(binding.Path,
						"the Pipeline's workspace %q is optional, and %s requires it as %q, so the run would fail: make both optional, or neither",
						name, task.unit(), binding.Name)
				}
			}
		}
	}
}

// taskCalls returns the calls of Tasks that are known, by the path of the pipeline's task.
func taskCalls(ctx context.Context, p *rule.Pass) map[string]callSite {
	calls := map[string]callSite{}
	for _, call := range resolvedCalls(ctx, p) {
		if call.Kind == "Task" {
			calls[call.Path] = call
		}
	}
	return calls
}
