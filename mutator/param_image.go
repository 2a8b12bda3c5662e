package mutator

import (
	"context"
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/mutator/record"
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
		if p.before != nil {
			p.paramsAgain()
		}
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
	given := givenParams(spec)
	var found []paramImage
	var rest []object.ParamImage
	for _, image := range images {
		at, is := given[image.Name]
		switch {
		case !is:
			rest = append(rest, image)
		case at.path != "": // else it is no text
			at.ParamImage, at.task = image, *task
			found = append(found, at)
		}
	}
	for _, param := range inDefaults(*task, rest) {
		switch {
		case where == named: // the Task stays as it is stored, so the run has to say it
			param.path, param.set = fmt.Sprintf("spec.params, %q", param.Name), giving(spec, param.Name)
		case where == fetched && !strings.HasPrefix(param.Elsewhere, "spec."):
			continue // the default is changed where the Task is fetched
		case where == fetched:
			// The run uses the default for something else: it has to stay what it is.
			giving(spec, param.Name)(param.value)
			param.path = fmt.Sprintf("spec.params, %q", param.Name)
			p.did(param.path, "keep "+param.value+", which "+param.Elsewhere+" uses")
		}
		found = append(found, param)
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

// taskOfRun returns the task of a TaskRun, nil for one that is not known. A Task of another
// namespace is not looked up: who creates the run may not be allowed to read it.
func (p *pass) taskOfRun(ctx context.Context) (*object.Task, taskPlace) {
	if tasks := p.tasks(); len(tasks) > 0 {
		return &tasks[0], written
	}
	place := named
	ref, ok := object.ReferenceOf(p.object)
	if !ok {
		place = fetched
		if ref, ok = object.FetchedOf(p.object, p.tekton.Resolver.Defaults); !ok || ref.Namespace != p.space {
			return nil, place
		}
	}
	stored, why := p.storedTask(ctx, p.space, ref.Name)
	if why != "" {
		p.not("", why)
		return nil, place
	}
	var r object.Reader
	metadata := r.Fields(stored, "metadata")
	if skips(r.Fields(metadata, "annotations"), p.rule.ID) {
		p.not("", fmt.Sprintf("Task %q opts out of the rule", ref.Name))
		return nil, place
	}
	if why := p.rule.scope(p.settings).excludes(p.space, labelled(r.Fields(metadata, "labels"))); why != "" {
		p.not("", fmt.Sprintf("Task %q: %s", ref.Name, why))
		return nil, place
	}
	task := ref.TaskOf(r.Fields(stored, "spec"))
	return &task, place
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

// givenParams returns where a run gives its parameters, by their names; of two of a name the
// last counts. One that is no text has no path.
func givenParams(spec map[string]any) map[string]paramImage {
	params, _ := spec["params"].([]any)
	given := make(map[string]paramImage, len(params))
	for i, item := range params {
		param, _ := item.(map[string]any)
		name, _ := param["name"].(string)
		at := paramImage{}
		if value, is := param["value"].(string); is {
			at = paramImage{path: fmt.Sprintf("spec.params[%d].value", i), value: value,
				set: func(value string) { param["value"] = value }}
		}
		given[name] = at
	}
	return given
}

// inDefaults returns where the defaults of parameters stand in a task.
func inDefaults(task object.Task, images []object.ParamImage) []paramImage {
	if len(images) == 0 {
		return nil
	}
	params, _ := task.Spec["params"].([]any)
	declared := make(map[string]int, len(params))
	for i, item := range params {
		param, _ := item.(map[string]any)
		if name, _ := param["name"].(string); name != "" {
			declared[name] = i
		}
	}
	var found []paramImage
	for _, image := range images {
		i, is := declared[image.Name]
		if !is {
			continue
		}
		param, _ := params[i].(map[string]any)
		value, is := param["default"].(string)
		if !is {
			continue
		}
		found = append(found, paramImage{ParamImage: image, task: task, value: value,
			path: fmt.Sprintf("%s.params[%d].default", task.Path, i),
			set:  func(value string) { param["default"] = value }})
	}
	return found
}

// paramsAgain gives a run that is applied once more the values that its parameters got when it
// was created, be its Task gone or another one by now.
func (p *pass) paramsAgain() {
	var r object.Reader
	before := givenParams(r.Fields(p.before, "spec"))
	originals := record.ReadOriginals(r.Fields(r.Fields(p.before, "metadata"), "annotations"))
	spec, _ := p.object["spec"].(map[string]any)
	for name, fresh := range givenParams(spec) {
		was := before[name].value
		if fresh.path == "" || was == "" || was == fresh.value || originals.Of(was) != fresh.value {
			continue
		}
		fresh.set(was)
		p.did(fresh.path, "took "+fresh.value+" from the mirror, as before")
	}
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
	case param.Enum:
		return fmt.Sprintf("the parameter %q, which is the image in %s, may have the values of its enum only: list the mirror's names there",
			param.Name, images)
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
