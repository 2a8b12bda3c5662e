package mutator

import (
	"context"
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

// paramImage is a parameter that decides images, and where its value stands.
type paramImage struct {
	object.ParamImage
	task  object.Task
	path  string // of the value
	value string
	set   func(value string)
}

// paramImages returns the parameters that decide images of a TaskRun or of a stored Task or
// StepAction, and whose value is known and final: that of the run, or a default that counts
// where no run gives another.
//
// Those of a Pipeline or PipelineRun are left to its TaskRuns: there they are final.
func (p *pass) paramImages(ctx context.Context) []paramImage {
	switch p.kind.Kind {
	case "TaskRun":
		return p.paramImagesOfRun(ctx)
	case "Task", "StepAction":
		var found []paramImage
		for _, task := range p.tasks() {
			found = append(found, inDefaults(task, task.ParamImages(nil))...)
		}
		return found
	}
	return nil
}

func (p *pass) paramImagesOfRun(ctx context.Context) []paramImage {
	task, where := p.taskOfRun(ctx)
	if task == nil {
		return nil
	}
	spec, _ := p.object["spec"].(map[string]any)
	images := task.ParamImages(around(spec))
	if len(images) == 0 {
		return nil
	}
	var found, rest []paramImage
	for _, image := range images {
		if given, ok := inRun(spec, image); ok {
			given.task = *task
			found = append(found, given)
		} else {
			rest = append(rest, inDefaults(*task, []object.ParamImage{image})...)
		}
	}
	for i := range rest {
		switch where {
		case named: // the Task stays as it is stored, so the run has to say it
			rest[i].path = fmt.Sprintf("spec.params, %q", rest[i].Name)
			rest[i].set = giving(spec, rest[i].Name)
		case fetched:
			continue // the default is changed where the Task is fetched
		}
		found = append(found, rest[i])
	}
	return found
}

// where the Task of a run is.
type taskPlace int

const (
	written taskPlace = iota // in the run
	named                    // stored, and the run names it
	fetched                  // stored, and the cluster resolver fetches it
)

// taskOfRun returns the task of a TaskRun, nil for one that is not known.
func (p *pass) taskOfRun(ctx context.Context) (*object.Task, taskPlace) {
	if tasks := p.tasks(); len(tasks) > 0 {
		return &tasks[0], written
	}
	ref, ok := object.ReferenceOf(p.object)
	namespace, place := p.space, named
	if !ok {
		if ref, ok = object.FetchedOf(p.object); !ok {
			return nil, written
		}
		namespace, place = ref.Namespace, fetched
	}
	if !p.mentions(ref) {
		return nil, place
	}
	stored, why := p.storedTask(ctx, namespace, ref.Name)
	if why != "" {
		return nil, place
	}
	spec, _ := stored["spec"].(map[string]any)
	task := ref.TaskOf(spec)
	return &task, place
}

// mentions tells whether a run has parameters to look at, or its Task may have defaults
// that nothing else changes.
func (p *pass) mentions(ref object.Reference) bool {
	return len(ref.Run.Params) > 0 || ref.Namespace == ""
}

// around is what uses the task's parameters in the specification of a run.
func around(spec map[string]any) map[string]any {
	other := map[string]any{}
	for key, value := range spec {
		if key != "taskSpec" && key != "params" && key != "taskRef" {
			other["spec."+key] = value
		}
	}
	return other
}

// inRun returns where a run gives the parameter; of two of a name the last counts.
func inRun(spec map[string]any, image object.ParamImage) (paramImage, bool) {
	params, _ := spec["params"].([]any)
	for i := len(params) - 1; i >= 0; i-- {
		param, _ := params[i].(map[string]any)
		value, is := param["value"].(string)
		if param["name"] == image.Name && is {
			return paramImage{ParamImage: image, path: fmt.Sprintf("spec.params[%d].value", i), value: value,
				set: func(value string) { param["value"] = value }}, true
		}
	}
	return paramImage{}, false
}

// inDefaults returns where the defaults of parameters stand in a task.
func inDefaults(task object.Task, images []object.ParamImage) []paramImage {
	var found []paramImage
	params, _ := task.Spec["params"].([]any)
	for _, image := range images {
		for i, item := range params {
			param, _ := item.(map[string]any)
			value, is := param["default"].(string)
			if param["name"] == image.Name && is {
				found = append(found, paramImage{image, task, fmt.Sprintf("%s.params[%d].default", task.Path, i), value,
					func(value string) { param["default"] = value }})
			}
		}
	}
	return found
}

// giving adds a parameter to a run.
func giving(spec map[string]any, name string) func(value string) {
	return func(value string) {
		params, _ := spec["params"].([]any)
		spec["params"] = append(params, map[string]any{"name": name, "value": value})
	}
}

// image is the whole image that the parameter decides, as far as it is known.
func (param *paramImage) image() string {
	if param.Part != "" {
		return param.task.Fill(param.Part)
	}
	return param.value
}

// tied says why the value of a parameter cannot be changed for the sake of the image, with a
// remedy, or "".
func (param *paramImage) tied() string {
	images := strings.Join(param.Images, ", ")
	switch {
	case param.Part != "":
		return fmt.Sprintf("the parameter %q is a part of the image in %s: use a parameter for the whole image",
			param.Name, images)
	case param.Elsewhere != "":
		return fmt.Sprintf("the parameter %q is the image in %s and is used in %s, too: use a parameter of its own for the image",
			param.Name, images, param.Elsewhere)
	}
	return ""
}

// mirrorParam takes the image that a parameter decides from the mirror.
func (p *pass) mirrorParam(param paramImage) {
	image := param.image()
	if isVariable(image) {
		p.not(param.path, "it holds a variable")
		return
	}
	done, why := p.fate(param.path, image)
	if why != "" {
		p.not(param.path, why)
		return
	}
	if why := param.tied(); why != "" {
		p.not(param.path, why)
		for _, path := range param.Images {
			p.not(path, why)
		}
		p.warn("%s is not taken from the mirror, since %s", image, why)
		return
	}
	if done.DigestDropped {
		p.warn("%s: %s becomes %s without its digest: what the mirror holds under the tag is what will run", param.path,
			done.From, done.To)
	}
	param.set(done.to)
	p.remember(done.to, param.value)
	p.written = nil // for its tasks know their values
	p.reread()
	p.did(param.path, fmt.Sprintf("%s for %s", done.did, strings.Join(param.Images, ", ")))
}
