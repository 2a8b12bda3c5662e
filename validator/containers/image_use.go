package containers

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
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

// imagesUsed returns the images of an object that have a name, those of volumes too.
func imagesUsed(p *rule.Pass) []usedImage {
	return rule.Once(p, "imagesUsed", func() []usedImage { return walkImagesUsed(p) })
}

func walkImagesUsed(p *rule.Pass) []usedImage {
	var r object.Reader
	var found []usedImage
	for _, task := range object.Tasks(p.Object) {
		for _, field := range task.Images() {
			found = append(found, newUsedImage(p, field.Path, field.Value, fill(p, task, field.Value)))
		}
		for _, volume := range placesIn(r.FieldsList(task.Spec, "volumes"), task.Path+".volumes", "volume") {
			if name := r.Text(r.Fields(volume.Fields, "image"), "reference"); name != "" {
				found = append(found, newUsedImage(p, volume.Path+".image.reference", name, fill(p, task, name)))
			}
		}
	}
	for _, template := range podTemplatesIn(p) {
		for _, volume := range placesIn(r.FieldsList(template.Fields, "volumes"), template.Path+".volumes", "volume") {
			if name := r.Text(r.Fields(volume.Fields, "image"), "reference"); name != "" {
				found = append(found, newUsedImage(p, volume.Path+".image.reference", name, name))
			}
		}
	}
	return found
}

func newUsedImage(p *rule.Pass, path, written, filled string) usedImage {
	used := usedImage{Path: path, Written: written, Filled: filled, Certain: written == filled || isRun(p)}
	if filled != "" && !expression.Any(filled) {
		used.Ref, used.Err = image.Parse(filled)
		used.Known = used.Err == nil
	}
	return used
}

func isRun(p *rule.Pass) bool { return p.Kind.Kind == "TaskRun" || p.Kind.Kind == "PipelineRun" }

// fill puts the parameters into a text of a task, from where Tekton takes
// them: the run, or the pipeline's task and then each pipeline around it; and from all
// defaults. Each value is filled in by the next level, where it was written.
func fill(p *rule.Pass, task object.Task, text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	filled := text
	for _, values := range levelsOf(p, task) {
		filled = values.Fill(filled)
	}
	p.Grow(len(filled) - len(text))
	return filled
}

// levelsOf returns the values of the parameters around a task, the innermost first.
func levelsOf(p *rule.Pass, task object.Task) []object.Values {
	return rule.Once(p, "levels of "+task.Path, func() []object.Values {
		var r object.Reader
		holder, within := strings.CutSuffix(task.Path, ".taskSpec")
		if !within || holder == "spec" {
			return []object.Values{task.Values(&r)}
		}
		own := object.ValuesOf(paramsAt(p, holder), r.FieldsList(task.Spec, "params"))
		return append([]object.Values{own}, levelsAround(p, holder)...)
	})
}

// levelsAround returns those of the pipelines around a pipeline's task: many tasks have
// the same.
func levelsAround(p *rule.Pass, task string) []object.Values {
	around := pipelineAround(task)
	if around == "" {
		return nil
	}
	return rule.Once(p, "levels at "+around, func() []object.Values {
		declared := paramsAt(p, around)
		if around == "spec" { // of a Pipeline: who runs it gives its params
			return []object.Values{object.ValuesOf(nil, declared)}
		}
		holder := strings.TrimSuffix(around, ".pipelineSpec")
		own := object.ValuesOf(paramsAt(p, holder), declared)
		return append([]object.Values{own}, levelsAround(p, holder)...)
	})
}

func paramsAt(p *rule.Pass, path string) []map[string]any {
	var r object.Reader
	return r.FieldsList(fieldsAt(p.Object, path), "params")
}

// pipelineAround returns where the pipeline stands that has the task at a path, "" for
// none.
func pipelineAround(task string) string {
	return task[:max(strings.LastIndex(task, ".tasks["), strings.LastIndex(task, ".finally["), 0)]
}

// fieldsAt returns what stands at a path such as spec.tasks[0], nil for nothing.
func fieldsAt(fields map[string]any, path string) map[string]any {
	for part := range strings.SplitSeq(path, ".") {
		key, index, listed := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		value := fields[key]
		if listed {
			list, _ := value.([]any)
			at, err := strconv.Atoi(index)
			if err != nil || at < 0 || at >= len(list) {
				return nil
			}
			value = list[at]
		}
		fields, _ = value.(map[string]any)
	}
	return fields
}

// imageParamName matches the names of parameters that hold an image.
var imageParamName = regexp.MustCompile(`(?i)(?:^|[-_.])image$|Image$`)

// imagesInParams returns the images that parameters name in full.
func imagesInParams(p *rule.Pass) []usedImage {
	var found []usedImage
	for _, param := range allParams(p) {
		value, _ := param.Value.(string)
		ref, err := image.Parse(value)
		if imageParamName.MatchString(param.Name) && value != "" && !expression.Any(value) && err == nil {
			found = append(found, usedImage{Path: param.Path, Written: value, Filled: value, Ref: ref, Known: true})
		}
	}
	return found
}

// allParams returns the parameters of an object: those that a run or a pipeline's task
// gives, those of a matrix, and defaults.
func allParams(p *rule.Pass) []rule.Param {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	all := rule.ParamsIn(spec, "spec")
	for _, key := range []string{"taskSpec", "pipelineSpec"} {
		all = append(all, rule.ParamsIn(r.Fields(spec, key), "spec."+key)...)
	}
	for _, task := range pipelineTasksIn(p) {
		all = append(all, rule.ParamsIn(task.Fields, task.Path)...)
		all = append(all, rule.ParamsIn(r.Fields(task.Fields, "matrix"), task.Path+".matrix")...)
		all = append(all, rule.ParamsIn(r.Fields(task.Fields, "taskSpec"), task.Path+".taskSpec")...)
	}
	return all
}

// compilePatterns returns patterns of the configuration, which were checked when it was
// read.
func compilePatterns(patterns []string) []image.Pattern {
	out := make([]image.Pattern, 0, len(patterns))
	for _, text := range patterns {
		if pattern, err := image.CompilePattern(text); err == nil {
			out = append(out, pattern)
		}
	}
	return out
}
