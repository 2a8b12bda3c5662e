package containers

import (
	"time"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// givenTimeout is a timeout that an object gives.
type givenTimeout struct {
	Path  string
	Whole bool // whether it is that of a whole run
	Value time.Duration
}

// timeoutsIn returns all timeouts that can be read: of runs, of a pipeline's tasks
// and of steps.
func timeoutsIn(p *rule.Pass) []givenTimeout {
	var r object.Reader
	var found []givenTimeout
	add := func(path string, whole bool, fields map[string]any, key string) {
		if value, err := time.ParseDuration(r.Text(fields, key)); err == nil {
			found = append(found, givenTimeout{path + "." + key, whole, value})
		}
	}
	spec := r.Fields(p.Object, "spec")
	if isRun(p) {
		add("spec", true, spec, "timeout")
		timeouts := r.Fields(spec, "timeouts")
		add("spec.timeouts", true, timeouts, "pipeline")
		add("spec.timeouts", false, timeouts, "tasks")
		add("spec.timeouts", false, timeouts, "finally")
	}
	for _, own := range taskRunSpecsIn(p) {
		add(own.Path, false, own.Fields, "timeout")
	}
	for _, task := range pipelineTasksIn(p) {
		add(task.Path, false, task.Fields, "timeout")
	}
	for _, step := range stepsIn(p) {
		add(step.Path, false, step.Fields, "timeout")
	}
	return found
}
