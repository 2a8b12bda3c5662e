package containers

import (
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// imageField is a place where an image stands, and the task that it belongs to.
type imageField struct {
	*object.ImageField
	task *object.Task // nil for an image in a podTemplate
}

// imageFieldsIn returns the places of all images of an object, those of volumes too.
func imageFieldsIn(p *rule.Pass) []imageField {
	var found []imageField
	for _, task := range object.Tasks(p.Object) {
		for _, field := range task.Images() {
			found = append(found, imageField{field, &task})
		}
	}
	for _, field := range object.PodTemplateImages(p.Object) {
		found = append(found, imageField{field, nil})
	}
	return found
}

// filled returns the image with the parameters that are known.
func (f imageField) filled(p *rule.Pass) string {
	if f.Literal {
		return f.Value
	}
	return fill(p, *f.task, f.Value)
}

// fills is filled for each run that a matrix makes.
func (f imageField) fills(p *rule.Pass) []string {
	if f.Literal {
		return []string{f.Value}
	}
	return fills(p, *f.task, f.Value)
}

// open returns the expressions in a text of the field that something will fill in. In a
// volume these are the params of the TriggerTemplate around it alone.
func (f imageField) open(p *rule.Pass, text string) []expression.Expression {
	found := expression.Find(text)
	if !f.Literal {
		return found
	}
	return slices.DeleteFunc(found, func(e expression.Expression) bool { return p.Template == nil || e.Root() != "tt" })
}

// usedImage is an image of a step, sidecar, stepTemplate, StepAction or volume.
type usedImage struct {
	Path    string
	Written string // as it stands there
	Filled  string // with the parameters that are known; others stay as they are written
	Literal bool   // see object.ImageField
	// Certain tells whether it is the image of every run: it stands there in full,
	// or the run itself gives the parameters.
	Certain bool

	Ref   image.Reference
	Known bool  // whether nothing is left to fill in and Ref is the reference
	Err   error // why an image in which nothing is left to fill in is no reference
}

// imagesUsed returns the images of an object that have a name, those of volumes too.
func imagesUsed(p *rule.Pass) []usedImage {
	return rule.Once(p, "imagesUsed", func() []usedImage { return walkImagesUsed(p) })
}

func walkImagesUsed(p *rule.Pass) []usedImage {
	var found []usedImage
	for _, field := range imageFieldsIn(p) {
		for _, filled := range field.fills(p) {
			found = append(found, newUsedImage(p, field, filled))
		}
	}
	return found
}

func newUsedImage(p *rule.Pass, field imageField, filled string) usedImage {
	used := usedImage{Path: field.Path, Written: field.Value, Filled: filled, Literal: field.Literal,
		Certain: field.Value == filled || isRun(p)}
	if filled != "" && len(field.open(p, filled)) == 0 {
		used.Ref, used.Err = image.Parse(filled)
		used.Known = used.Err == nil
	}
	return used
}

// repository returns the image without what follows host and path, if those are known.
func (u usedImage) repository() (image.Reference, bool) {
	if u.Known {
		return u.Ref, true
	}
	ref, err := image.Parse(repositoryOf(u.Filled))
	return ref, err == nil
}

func isRun(p *rule.Pass) bool { return p.Kind.Kind == "TaskRun" || p.Kind.Kind == "PipelineRun" }

// fill puts the parameters into a text of a task, see object.Task.Fill.
func fill(p *rule.Pass, task object.Task, text string) string {
	filled := task.Fill(text)
	p.Grow(len(filled) - len(text))
	return filled
}

// fills is fill for each run that a matrix makes.
func fills(p *rule.Pass, task object.Task, text string) []string {
	filled := task.Fills(text)
	p.Step(len(filled))
	for _, one := range filled {
		p.Grow(len(one) - len(text))
	}
	return filled
}

// imageParamName matches the names of parameters that hold an image.
var imageParamName = lazyregexp.New(`(?i)(?:^|[-_.])image$|Image$`)

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
