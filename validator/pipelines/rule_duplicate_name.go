package pipelines

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var duplicateNameRule = &rule.Rule{
	ID:       "duplicate-name",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds two params, workspaces, steps, sidecars, volumes or tasks of one name in the same
place, where only one can be meant.

Tekton refuses most of them, and the API server refuses the Pod of the others. It does
not look into a TriggerTemplate. Tasks of a Pipeline and its finally tasks share their
names.`,
	Check: checkDuplicateName,
}

// uniqueLists are the lists whose items have names of their own.
var uniqueLists = []struct{ key, unit string }{
	{"params", "parameter"},
	{"workspaces", "workspace"},
	{"steps", "step"},
	{"sidecars", "sidecar"},
	{"volumes", "volume"},
}

func checkDuplicateName(_ context.Context, p *rule.Pass) {
	var r object.Reader
	if slices.Contains([]string{"TaskRun", "PipelineRun"}, p.Kind.Kind) {
		mustBeUnique(p, r.Fields(p.Object, "spec"), "spec")
	}
	for _, s := range specificationsIn(p) {
		mustBeUnique(p, s.Fields, s.Path)
		var tasks []namedItem
		for _, task := range s.tasks() {
			tasks = append(tasks, namedItem{task.Path, task.Name, task.Fields})
			mustBeUnique(p, task.Fields, task.Path)
		}
		reportTwice(p, tasks, "task")
		for i, step := range r.FieldsList(s.Fields, "steps") {
			reportTwice(p, itemsIn(step, fmt.Sprintf("%s.steps[%d]", s.Path, i), "params"), "parameter")
		}
	}
}

func mustBeUnique(p *rule.Pass, fields map[string]any, path string) {
	for _, list := range uniqueLists {
		reportTwice(p, itemsIn(fields, path, list.key), list.unit)
	}
}

func reportTwice(p *rule.Pass, items []namedItem, unit string) {
	seen := map[string]bool{}
	for _, item := range items {
		if seen[item.Name] && item.Name != "" && !expression.Any(item.Name) {
			p.Report(item.Path+".name",
				"there are two of the name %q, and only one %s can be meant: rename or remove one of them",
				item.Name, unit)
		}
		seen[item.Name] = true
	}
}
