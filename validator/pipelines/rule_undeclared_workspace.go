package pipelines

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var undeclaredWorkspaceRule = &rule.Rule{
	ID:       "undeclared-workspace",
	Severity: rule.Error,
	Kinds:    slices.Concat(rule.Tasks, rule.ClusterTasks, rule.TaskRuns, rule.Pipelines, rule.PipelineRuns),
	Doc: `Finds $(workspaces.x.path) and its kin, the workspaces of a step or sidecar, and those
of a Pipeline's task, where nothing declares a workspace x.

Tekton leaves the expression as it stands, and a shell takes it for a command; the
workspace of a task that the Pipeline lacks makes the run fail
(pkg/apis/pipeline/v1/pipeline_validation.go).

What a run binds or a Pipeline declares may be used in the specifications that are
written out in it; the params of a Pipeline's task may use what the task binds, since
the Task fills it in; $(workspaces.x.bound) may ask for anything. Here-documents in the scripts of a run are passed over.`,
	Check: checkUndeclaredWorkspace,
}

// workspaceFields are what an expression says of a workspace. With bound, which is
// not among them, a Task may ask for one that is not declared.
var workspaceFields = []string{"path", "claim", "volume"}

func checkUndeclaredWorkspace(_ context.Context, p *rule.Pass) {
	if p.Inlined { // what the run binds is there too, and the run is judged by itself
		return
	}
	for _, s := range specificationsIn(p) {
		for _, use := range s.uses("workspaces") {
			name := use.Parts[1]
			if len(use.Parts) != 3 || !slices.Contains(workspaceFields, use.Parts[2]) || s.Scope.has(name) ||
				use.bound(name) {
				continue
			}
			p.Report(use.Path, "%s refers to a workspace %q that nothing declares, so it is not filled in: %s",
				use.Text, name, remedyFor(p, name, s.Scope.workspaceNames, "declare it in workspaces"))
		}
		for _, item := range workspacesOfParts(s) {
			if !s.Scope.has(item.Name) && !expression.Any(item.Name) {
				p.Report(item.Path, "the workspace %q is not declared, so the run would fail: %s",
					item.Name, remedyFor(p, item.Name, s.Scope.workspaceNames, "declare it in workspaces"))
			}
		}
	}
}

// workspacesOfParts returns those that the steps, sidecars or tasks of a
// specification name; the path is that of the name.
func workspacesOfParts(s specification) []namedItem {
	var r object.Reader
	var found []namedItem
	for _, list := range []string{"steps", "sidecars", "tasks", "finally"} {
		if (s.Kind == "Pipeline") != (list == "tasks" || list == "finally") {
			continue
		}
		for i, part := range r.FieldsList(s.Fields, list) {
			for _, item := range itemsIn(part, fmt.Sprintf("%s.%s[%d]", s.Path, list, i), "workspaces") {
				item.Path += ".name"
				if other := r.Text(item.Fields, "workspace"); other != "" && s.Kind == "Pipeline" {
					item.Path, item.Name = item.Path[:len(item.Path)-len("name")]+"workspace", other
				}
				found = append(found, item)
			}
		}
	}
	return found
}
