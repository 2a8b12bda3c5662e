// Package object knows where containers, steps and images stand in the objects
// of Kubernetes and Tekton.
//
// The objects are decoded JSON and stay so. A round trip through the Go types of
// one Tekton release adds fields, drops others and rewrites durations, and what
// it adds defeats the defaults of the cluster's own release
// (tektoncd/pipeline#9647).
package object

import "fmt"

// Task is a task specification that is written out in an object, with what the
// object says about its Pod. All maps are the object's own: editing them edits
// the object.
type Task struct {
	Path        string           // where it stands, such as "spec.taskSpec"
	Spec        map[string]any   // the specification itself
	PodTemplate map[string]any   // the run's podTemplate; nil where there is none
	Bindings    []map[string]any // the run's workspaces, bound by name
}

// Step is one step of a Task.
type Step struct {
	Path   string         // such as "spec.taskSpec.steps[0]"
	Index  int            // its position among the steps, from 0
	Fields map[string]any // the step itself; editing it edits the object
}

// Name is what Tekton calls the step: its name, or its position where it has
// none.
func (s Step) Name() string {
	if name, _ := s.Fields["name"].(string); name != "" {
		return name
	}
	return fmt.Sprintf("unnamed-%d", s.Index)
}

// TaskOf returns the task specification that a TaskRun, of any version, writes
// out. It reports false where there is none: the run refers to a Task, or the
// JSON is not of the shape that Tekton takes, which Tekton will say itself.
func TaskOf(taskRun map[string]any) (Task, bool) {
	var r Reader
	spec := r.Fields(taskRun, "spec")
	task := Task{
		Path:        "spec.taskSpec",
		Spec:        r.Fields(spec, "taskSpec"),
		PodTemplate: r.Fields(spec, "podTemplate"),
		Bindings:    r.FieldsList(spec, "workspaces"),
	}
	return task, task.Spec != nil && !r.Odd
}

// Steps returns the steps in their order. It reports false where one of them,
// or their list, is not of the shape that Tekton takes.
func (t Task) Steps() ([]Step, bool) {
	var r Reader
	list := r.FieldsList(t.Spec, "steps")
	if r.Odd {
		return nil, false
	}
	steps := make([]Step, 0, len(list))
	for i, fields := range list {
		path := fmt.Sprintf("%s.steps[%d]", t.Path, i)
		steps = append(steps, Step{Path: path, Index: i, Fields: fields})
	}
	return steps, true
}
