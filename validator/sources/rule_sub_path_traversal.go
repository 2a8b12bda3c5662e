package sources

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var subPathTraversalRule = &rule.Rule{
	ID:       "subpath-traversal",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds a subPath of a workspace or volumeMount that leaves its folder. The subPath of a
pipeline's task is joined to the one that the run gives
(pkg/reconciler/pipelinerun/pipelinerun.go), so ` + "`../other`" + ` reaches another run's folder on a
shared volume; everywhere else Kubernetes refuses ` + "`..`" + ` and a leading slash when the Pod is
created, and the run fails.

A ` + "`..`" + ` within a PipelineRun or Pipeline passes where it leads to a folder below, since it is
resolved when they are joined.`,
	Check: checkSubPathTraversal,
}

func checkSubPathTraversal(_ context.Context, p *rule.Pass) {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "TaskRun":
		checkSubPaths(p, spec, "spec", "workspaces", refusedSubPath)
	case "PipelineRun":
		checkSubPaths(p, spec, "spec", "workspaces", func(text string) bool { return path.IsAbs(text) || leaves(text) })
		checkPipelineSubPaths(p, r.Fields(spec, "pipelineSpec"), "spec.pipelineSpec")
	case "Pipeline":
		checkPipelineSubPaths(p, spec, "spec")
	}
	for _, task := range object.Tasks(p.Object) {
		checkSubPaths(p, task.Template(&r), task.Path+".stepTemplate", "volumeMounts", refusedSubPath)
		for _, list := range []string{"steps", "sidecars"} {
			for i, container := range r.FieldsList(task.Spec, list) {
				checkSubPaths(p, container, fmt.Sprintf("%s.%s[%d]", task.Path, list, i), "volumeMounts",
					refusedSubPath)
			}
		}
	}
	if p.Kind.Kind == "StepAction" {
		checkSubPaths(p, spec, "spec", "volumeMounts", refusedSubPath)
	}
}

func checkPipelineSubPaths(p *rule.Pass, spec map[string]any, at string) {
	var r object.Reader
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(spec, list) {
			path := fmt.Sprintf("%s.%s[%d]", at, list, i)
			checkSubPaths(p, task, path, "workspaces", leaves)
			checkPipelineSubPaths(p, r.Fields(task, "pipelineSpec"), path+".pipelineSpec")
		}
	}
}

func checkSubPaths(p *rule.Pass, fields map[string]any, at, list string, wrong func(string) bool) {
	var r object.Reader
	for i, item := range r.FieldsList(fields, list) {
		for _, key := range []string{"subPath", "subPathExpr"} {
			if text := r.Text(item, key); text != "" && certain(text) && wrong(text) {
				p.Report(fmt.Sprintf("%s.%s[%d].%s", at, list, i, key),
					"the %s leaves the folder that it stands for, so that the Pod is refused or another folder of the volume is used: write a path below it, without \"..\" and a leading slash",
					key)
			}
		}
	}
}

// refusedSubPath tells what Kubernetes refuses in a Pod.
func refusedSubPath(text string) bool { return path.IsAbs(text) || climbs(text) }

// leaves tells whether a path leads out of the folder it is joined to.
func leaves(text string) bool {
	clean := path.Clean(strings.TrimLeft(text, "/"))
	return clean == ".." || strings.HasPrefix(clean, "../")
}
