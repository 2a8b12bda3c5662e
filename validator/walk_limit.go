package validator

import (
	"time"

	"github.com/tekgate/tekgate/internal/object"
)

// limitTimeout is a timeout that an object gives.
type limitTimeout struct {
	Path  string
	Whole bool // whether it is that of a whole run
	Value time.Duration
}

// limitTimeouts returns all timeouts that can be read: of runs, of a pipeline's tasks
// and of steps.
func limitTimeouts(p *Pass) []limitTimeout {
	var r object.Reader
	var found []limitTimeout
	add := func(path string, whole bool, fields map[string]any, key string) {
		if value, err := time.ParseDuration(r.Text(fields, key)); err == nil {
			found = append(found, limitTimeout{path + "." + key, whole, value})
		}
	}
	spec := r.Fields(p.Object, "spec")
	if secIsRun(p) {
		add("spec", true, spec, "timeout")
		timeouts := r.Fields(spec, "timeouts")
		add("spec.timeouts", true, timeouts, "pipeline")
		add("spec.timeouts", false, timeouts, "tasks")
		add("spec.timeouts", false, timeouts, "finally")
	}
	for _, own := range secTaskRunSpecs(p) {
		add(own.Path, false, own.Fields, "timeout")
	}
	for _, task := range secPipelineTasks(p) {
		add(task.Path, false, task.Fields, "timeout")
	}
	for _, step := range secSteps(p) {
		add(step.Path, false, step.Fields, "timeout")
	}
	return found
}
