package pipelines

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var taskCycleRule = &rule.Rule{
	ID:       "task-cycle",
	Severity: rule.Error,
	Kinds:    rule.WithTasks,
	Doc: `Finds tasks of a Pipeline that wait for one another in a circle, by runAfter and by the
results that they use.

None of them could ever start. Tekton refuses the Pipeline (pkg/reconciler/pipeline/dag),
and does not look into a TriggerTemplate.`,
	Check: checkTaskCycle,
}

func checkTaskCycle(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		needs, paths := map[string][]string{}, map[string]string{}
		var order []string
		for _, task := range s.tasks() {
			if task.Final || task.Name == "" {
				continue
			}
			order, paths[task.Name] = append(order, task.Name), task.Path
			needs[task.Name] = append(needs[task.Name], waitsFor(task)...)
		}
		if cycle := cycleIn(order, needs); cycle != nil {
			p.Report(paths[cycle[0]],
				"these tasks wait for one another, so none could ever start: %s: remove one of the runAfter or results",
				strings.Join(cycle, " → "))
		}
	}
}

// waitsFor returns the names of the tasks that must be done before a task starts.
func waitsFor(task pipelineTask) []string {
	var names []string
	for _, named := range runAfterOf(task) {
		names = append(names, named.Value)
	}
	for _, key := range []string{"params", "matrix", "when"} {
		for _, use := range usagesIn(map[string]any{key: task.Fields[key]}, "", false, nil, "tasks") {
			if len(use.Parts) > 3 && use.Parts[2] == "results" {
				names = append(names, use.Parts[1])
			}
		}
	}
	return names
}

// cycleIn returns a circle, its first name again at its end, or nil. Names that are
// not in order have no needs.
func cycleIn(order []string, needs map[string][]string) []string {
	const onTrail, done = 1, 2
	state := map[string]int{}
	var trail []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case onTrail:
			return append(slices.Clone(trail[slices.Index(trail, name):]), name)
		case done:
			return nil
		}
		state[name], trail = onTrail, append(trail, name)
		for _, next := range needs[name] {
			if cycle := visit(next); cycle != nil {
				return cycle
			}
		}
		state[name], trail = done, trail[:len(trail)-1]
		return nil
	}
	for _, name := range order {
		if cycle := visit(name); cycle != nil {
			return cycle
		}
	}
	return nil
}
