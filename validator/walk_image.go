package validator

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
)

// usedImage is an image of a step, sidecar, stepTemplate or StepAction.
type usedImage struct {
	Path    string
	Written string // as it stands there
	Filled  string // with the parameters that are known; others stay as they are written
	// Certain tells whether it is the image of every run: it stands there in full,
	// or the run itself gives the parameters.
	Certain bool

	Ref   image.Reference
	Known bool  // whether nothing is left to fill in and Ref is the reference
	Err   error // why an image without any expression is no reference
}

// imagesUsed returns the images of an object that have a name.
func imagesUsed(p *Pass) []usedImage {
	var found []usedImage
	for _, task := range object.Tasks(p.Object) {
		for _, field := range task.Images() {
			used := usedImage{Path: field.Path, Written: field.Value, Filled: fillParams(p, task, field.Value)}
			used.Certain = used.Written == used.Filled || isRun(p)
			if used.Filled != "" && !expression.Any(used.Filled) {
				used.Ref, used.Err = image.Parse(used.Filled)
				used.Known = used.Err == nil
			}
			found = append(found, used)
		}
	}
	return found
}

func isRun(p *Pass) bool { return p.Kind.Kind == "TaskRun" || p.Kind.Kind == "PipelineRun" }

// fillParams puts the parameters into a text of a task, from where Tekton takes
// them: the run, the pipeline's task, the run of the pipeline, and all defaults.
func fillParams(p *Pass, task object.Task, text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	var r object.Reader
	if holder, within := strings.CutSuffix(task.Path, ".taskSpec"); within && holder != "spec" {
		task.Run.Params = r.FieldsList(fieldsAt(p.Object, holder), "params")
	}
	text = task.Fill(&r, text)
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "Pipeline":
		return object.Task{Spec: spec}.Fill(&r, text)
	case "PipelineRun":
		run := object.Run{Params: r.FieldsList(spec, "params")}
		return object.Task{Spec: r.Fields(spec, "pipelineSpec"), Run: run}.Fill(&r, text)
	}
	return text
}

// fieldsAt returns what stands at a path such as spec.tasks[0], nil for nothing.
func fieldsAt(fields map[string]any, path string) map[string]any {
	var r object.Reader
	for part := range strings.SplitSeq(path, ".") {
		key, index, listed := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		if !listed {
			fields = r.Fields(fields, key)
			continue
		}
		list := r.FieldsList(fields, key)
		at, err := strconv.Atoi(index)
		if err != nil || at < 0 || at >= len(list) {
			return nil
		}
		fields = list[at]
	}
	return fields
}

// imageParam matches the names of parameters that hold an image.
var imageParam = regexp.MustCompile(`(?i)(?:^|[-_.])image$|Image$`)

// imageParams returns the images that parameters name in full.
func imageParams(p *Pass) []usedImage {
	var found []usedImage
	for _, param := range paramsOf(p) {
		value, _ := param.Value.(string)
		ref, err := image.Parse(value)
		if imageParam.MatchString(param.Name) && value != "" && !expression.Any(value) && err == nil {
			found = append(found, usedImage{Path: param.Path, Written: value, Filled: value, Ref: ref, Known: true})
		}
	}
	return found
}

// paramsOf returns the parameters of an object: those that a run or a pipeline's task
// gives, those of a matrix, and defaults.
func paramsOf(p *Pass) []param {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	all := paramsIn(spec, "spec")
	for _, key := range []string{"taskSpec", "pipelineSpec"} {
		all = append(all, paramsIn(r.Fields(spec, key), "spec."+key)...)
	}
	for _, task := range pipelineTasksIn(p) {
		all = append(all, paramsIn(task.Fields, task.Path)...)
		all = append(all, paramsIn(r.Fields(task.Fields, "matrix"), task.Path+".matrix")...)
		all = append(all, paramsIn(r.Fields(task.Fields, "taskSpec"), task.Path+".taskSpec")...)
	}
	return all
}

// compiled returns patterns of the configuration, which were checked when it was
// read.
func compiled(patterns []string) []image.Pattern {
	out := make([]image.Pattern, 0, len(patterns))
	for _, text := range patterns {
		if pattern, err := image.CompilePattern(text); err == nil {
			out = append(out, pattern)
		}
	}
	return out
}
