// Package object knows where containers, steps and images stand in the objects
// of Kubernetes and Tekton.
//
// The objects are decoded JSON and stay so. A round trip through the Go types of
// one Tekton release adds fields, drops others and rewrites durations, and what
// it adds defeats the defaults of the cluster's own release
// (tektoncd/pipeline#9647).
//
// A task specification stands in many places: in a TaskRun, a Task, in each task
// of a Pipeline or PipelineRun; a StepAction is one step without a task, and a
// Pod holds the steps of a TaskRun as containers. Tasks finds them all, of every
// version, so that rules need not know where they are.
package object

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Task is a list of steps that is written out in an object, with what the object
// says about the Pod that will run them. All maps are the object's own: editing
// them edits the object.
type Task struct {
	Path string         // where it stands, such as "spec.taskSpec"
	Spec map[string]any // the specification; of a Pod, the Pod's
	Run  Run            // what the run says; the zero value where no run is known

	// Name is that of the task within a Pipeline, "" elsewhere.
	Name string

	form  form
	scope *scope // nil for a task that is not one of Tasks or TaskOf
}

// form is how steps are written.
type form int

const (
	formTask       form = iota // steps, sidecars and a stepTemplate
	formStepAction             // the specification is the one step
	formPod                    // containers whose names begin with step-
)

// Run is what a TaskRun or PipelineRun says about one of its tasks.
type Run struct {
	// Known tells whether all of it is known: of a Task alone nothing is, and of
	// a PipelineRun's task not how its workspaces are bound.
	Known bool
	// PodTemplates hold for the task; the last that says something wins.
	PodTemplates []map[string]any
	// Bindings are the workspaces that the run binds, by name.
	Bindings []map[string]any
	// Params are the values that the run gives.
	Params []map[string]any
	// ServiceAccount is the one that the run names, "" where it names none.
	ServiceAccount string
	// Overrides are the stepSpecs, of v1beta1 the stepOverrides.
	Overrides []map[string]any
	// Resources are those of the whole task.
	Resources map[string]any
}

// Step is one step.
type Step struct {
	Path   string         // such as "spec.taskSpec.steps[0]"
	Index  int            // its position among the steps, from 0
	Fields map[string]any // the step itself; editing it edits the object

	form form
}

// Name is what Tekton calls the step: its name, or its position where it has
// none.
func (s Step) Name() string {
	name, _ := s.Fields["name"].(string)
	switch {
	case s.form == formPod:
		return strings.TrimPrefix(name, "step-")
	case s.form == formStepAction:
		return "step"
	case name != "":
		return name
	}
	return fmt.Sprintf("unnamed-%d", s.Index)
}

// InPod tells whether Tekton has made a container of the step already.
func (s Step) InPod() bool { return s.form == formPod }

// InPod tells whether the task is a Pod.
func (t Task) InPod() bool { return t.form == formPod }

// Steps returns the steps in their order. It reports false where one of them,
// or their list, is not of the shape that Tekton takes.
func (t Task) Steps() ([]Step, bool) {
	var r Reader
	key := "steps"
	switch t.form {
	case formStepAction:
		return []Step{{Path: t.Path, Fields: t.Spec, form: formStepAction}}, true
	case formPod:
		key = "containers"
	}
	list := r.FieldsList(t.Spec, key)
	if r.Odd {
		return nil, false
	}
	where := t.Path + "." + key
	steps := make([]Step, 0, len(list))
	for i, fields := range list {
		if t.form == formPod && !strings.HasPrefix(r.Text(fields, "name"), "step-") {
			continue
		}
		steps = append(steps, Step{Path: element(where, i), Index: i, Fields: fields, form: t.form})
	}
	return steps, !r.Odd
}

// Template returns the stepTemplate, nil where there is none.
func (t Task) Template(r *Reader) map[string]any {
	if t.form != formTask {
		return nil
	}
	return r.Fields(t.Spec, "stepTemplate")
}

// Program returns the command and the arguments of a step, as it says them
// itself. What Tekton's entrypoint was told stands for them in a Pod; the command
// of a script is the script's file there.
func (s Step) Program(r *Reader) (command, args []string) {
	command, args = r.TextList(s.Fields, "command"), r.TextList(s.Fields, "args")
	if s.form != formPod {
		return command, args
	}
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	command = nil
	if at := slices.Index(args[:end], "-entrypoint"); at >= 0 && at+1 < end {
		command = []string{args[at+1]}
	}
	return command, args[min(end+1, len(args)):]
}

// Script returns the script that a step runs in place of a command, "" for none.
// That of a container in a Pod is not in it: scripted then is true and the text
// is not known.
func (s Step) Script(r *Reader) (script string, scripted bool) {
	if s.form != formPod {
		script = r.Text(s.Fields, "script")
		return script, script != ""
	}
	command, _ := s.Program(r)
	return "", len(command) > 0 && path.Dir(command[0]) == "/tekton/scripts"
}

// Images returns where the images of a task stand: those of its steps, sidecars,
// stepTemplate and volumes. Of a Pod's nothing is returned: see Images.
func (t Task) Images() []*ImageField {
	steps, _ := t.Spec["steps"].([]any)
	w := imageWalk{make([]*ImageField, 0, len(steps)+2)}
	switch t.form {
	case formTask:
		each(t.Spec["steps"], t.Path+".steps", func(m map[string]any, at string) { w.key(m, "image", at) })
		each(t.Spec["sidecars"], t.Path+".sidecars", func(m map[string]any, at string) { w.key(m, "image", at) })
		if template, ok := t.Spec["stepTemplate"].(map[string]any); ok {
			w.key(template, "image", t.Path+".stepTemplate")
		}
		if volumes := t.Spec["volumes"]; volumes != nil {
			each(volumes, t.Path+".volumes", w.volume)
		}
	case formStepAction:
		w.key(t.Spec, "image", t.Path)
	}
	return w.fields
}
