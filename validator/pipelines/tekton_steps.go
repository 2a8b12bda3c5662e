package pipelines

import (
	"context"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"knative.dev/pkg/apis"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// Tekton looks for references to what is not declared in every text of every step, and
// compiles a regular expression for each look: four fifths of what its validation
// costs, and two thirds of what all our rules did. So it is first asked about the
// object without those steps of which it is plain that the looks find nothing, and
// their other half, what a step is made of, is asked on its own.
//
// That answers only "nothing is wrong". Whatever else comes of it, Tekton is asked
// about the whole object, and what it says then is what is reported.

// tektonPasses tells whether Tekton finds nothing wrong with an object whose defaults
// are set. Where it returns false that is not known, and the object is of no more use if
// spent says so.
func tektonPasses(ctx context.Context, into tektonObject) (passes, spent bool) {
	if old, is := into.(*v1beta1.Task); is { //nolint:staticcheck // deprecated, but served
		return tektonPassesConverted(ctx, old), false
	}
	specs, declared := tektonSpecs(into)
	var missing *apis.FieldError
	found := tektonLeavePlainParams(into)
	for _, spec := range specs {
		if !declared.plain(spec.TaskSpec) {
			continue
		}
		if v1.StepList(spec.Steps).Validate(ctx) != nil {
			return false, true
		}
		found = true
		spec.Steps = []v1.Step{}
		if spec.embedded == nil {
			missing = apis.ErrMissingField(spec.path + ".steps") // it is the only one
			continue
		}
		if err := spec.Validate(ctx); err == nil || err.Error() != apis.ErrMissingField("steps").Error() {
			return false, true
		}
		// Tekton would report each of a Pipeline's Tasks, and joins reports in quadratic time. Of a
		// custom task it asks for neither steps nor anything else that was asked here.
		spec.embedded.TypeMeta = runtime.TypeMeta{APIVersion: "custom.tekton.dev/v1", Kind: "Plain"}
	}
	if !found {
		return false, false
	}
	err := into.Validate(ctx)
	return err == nil && missing == nil || err != nil && missing != nil && err.Error() == missing.Error(), true
}

// tektonPassesConverted asks whether a Task passes as one of version v1, which refuses whatever
// v1beta1 does but resources, and whose steps can be validated apart.
func tektonPassesConverted(ctx context.Context, old *v1beta1.Task) bool { //nolint:staticcheck // deprecated, but served
	task := &v1.Task{}
	if old.Spec.Resources != nil || old.ConvertTo(ctx, task) != nil { //nolint:staticcheck // refused
		return false
	}
	passes, _ := tektonPasses(ctx, task)
	return passes
}

// tektonSpec is a Task's specification.
type tektonSpec struct {
	*v1.TaskSpec
	path     string           // in the object, unless it is embedded
	embedded *v1.EmbeddedTask // that has it, in a Pipeline
}

// tektonSpecs returns the specifications in which an object of version v1 writes steps
// out, and the params that it declares or gives. Those of v1beta1 are left to Tekton,
// which has no exported validation of their steps.
func tektonSpecs(into tektonObject) ([]tektonSpec, *tektonDeclared) {
	declared := &tektonDeclared{params: map[string]bool{}, lists: map[string]bool{}}
	switch o := into.(type) {
	case *v1.Task:
		declared.specified(o.Spec.Params)
		return []tektonSpec{{TaskSpec: &o.Spec, path: "spec"}}, declared
	case *v1.TaskRun:
		declared.given(o.Spec.Params)
		if o.Spec.TaskSpec != nil {
			declared.specified(o.Spec.TaskSpec.Params)
			return []tektonSpec{{TaskSpec: o.Spec.TaskSpec, path: "spec.taskSpec"}}, declared
		}
	case *v1.Pipeline:
		return tektonTasks(&o.Spec, declared), declared
	case *v1.PipelineRun:
		declared.given(o.Spec.Params)
		if o.Spec.PipelineSpec != nil {
			return tektonTasks(o.Spec.PipelineSpec, declared), declared
		}
	}
	return nil, declared
}

// tektonTasks returns those of a pipeline's tasks. A custom task is none.
func tektonTasks(pipeline *v1.PipelineSpec, declared *tektonDeclared) []tektonSpec {
	declared.specified(pipeline.Params)
	var specs []tektonSpec
	for _, tasks := range [][]v1.PipelineTask{pipeline.Tasks, pipeline.Finally} {
		for i := range tasks {
			// What one task is given may have the name and not the type of what
			// another declares, and Tekton looks at all of them together.
			for _, param := range tasks[i].Params {
				declared.typed(param.Name, param.Value.Type)
			}
			if task := tasks[i].TaskSpec; task != nil {
				for _, param := range task.Params {
					declared.typed(param.Name, param.Type)
				}
				if task.APIVersion == "" && task.Kind == "" {
					specs = append(specs, tektonSpec{TaskSpec: &task.TaskSpec, embedded: task})
				}
			}
		}
	}
	return specs
}

// tektonLeavePlainParams removes from the tasks of a pipeline the params with which Tekton would
// find no fault, and tells whether there were any. Tekton compiles several regular expressions for
// each value. What it compares with other parts of a task stays.
func tektonLeavePlainParams(into tektonObject) (found bool) {
	var pipeline *v1.PipelineSpec
	switch o := into.(type) {
	case *v1.Pipeline:
		pipeline = &o.Spec
	case *v1.PipelineRun:
		pipeline = o.Spec.PipelineSpec
	}
	if pipeline == nil {
		return false
	}
	texts := map[string]bool{} // params that are texts
	for _, param := range pipeline.Params {
		texts[param.Name] = param.Type == v1.ParamTypeString
	}
	for _, tasks := range [][]v1.PipelineTask{pipeline.Tasks, pipeline.Finally} {
		for i := range tasks {
			if tasks[i].Matrix != nil || tasks[i].TaskSpec != nil || tektonTwice(tasks[i].Params) {
				continue
			}
			left := v1.Params{}
			for _, param := range tasks[i].Params {
				if param.Name == "" || !tektonPlainParamValue(texts, param.Value) {
					left = append(left, param)
				}
			}
			found = found || len(left) < len(tasks[i].Params)
			tasks[i].Params = left
		}
	}
	return found
}

// tektonTwice tells whether a name is given twice.
func tektonTwice(params v1.Params) bool {
	seen := make(map[string]bool, len(params))
	for _, param := range params {
		seen[param.Name] = true
	}
	return len(seen) < len(params)
}

// tektonPlainParamValue tells whether a value is a text that tektonPlainValue accepts, or a list of texts
// without any expression.
func tektonPlainParamValue(texts map[string]bool, value v1.ParamValue) bool {
	switch value.Type {
	case v1.ParamTypeString:
		return tektonPlainValue(texts, value.StringVal)
	case v1.ParamTypeArray:
		return !slices.ContainsFunc(value.ArrayVal, func(item string) bool { return strings.Contains(item, "$(") })
	}
	return false
}

// tektonPlainValue tells whether a value refers to nothing but params of the pipeline that are texts.
func tektonPlainValue(texts map[string]bool, text string) bool {
	for {
		_, rest, found := strings.Cut(text, "$(")
		if !found {
			return true
		}
		name := tektonPlainParam.FindStringSubmatch(rest)
		if name == nil || name[2] != "" || !texts[name[1]] {
			return false
		}
		text = rest
	}
}

// tektonDeclared are the params that steps may use wherever they stand in an object.
type tektonDeclared struct {
	params  map[string]bool
	lists   map[string]bool // those that are lists anywhere in the object
	objects bool            // whether any param is an object, or of a type that does not exist
}

func (d *tektonDeclared) given(params v1.Params) {
	for _, param := range params {
		d.params[param.Name] = true
		d.typed(param.Name, param.Value.Type)
	}
}

func (d *tektonDeclared) specified(params v1.ParamSpecs) {
	for _, param := range params {
		d.params[param.Name] = true
		d.typed(param.Name, param.Type)
	}
}

func (d *tektonDeclared) typed(name string, kind v1.ParamType) {
	switch kind {
	case v1.ParamTypeString:
	case v1.ParamTypeArray:
		d.lists[name] = true
	default:
		d.objects = true
	}
}

// plain tells whether the steps of a specification hold nothing that Tekton's looks for
// references would find fault with, and nothing that it compares with other parts.
func (d *tektonDeclared) plain(spec *v1.TaskSpec) bool {
	if len(spec.Steps) == 0 || spec.StepTemplate != nil || d.objects {
		return false
	}
	return !slices.ContainsFunc(spec.Steps, func(step v1.Step) bool { return !d.plainStep(spec, &step) })
}

func (d *tektonDeclared) plainStep(spec *v1.TaskSpec, step *v1.Step) bool {
	if len(step.Workspaces) > 0 || (len(step.VolumeMounts) > 0 && len(spec.Workspaces) > 0) {
		return false
	}
	for _, word := range slices.Concat(step.Command, step.Args) {
		if !d.plainList(spec, word) && !d.plainText(spec, word, false) {
			return false
		}
	}
	texts := []string{step.Name, step.Image, step.WorkingDir, string(step.OnError), string(step.ImagePullPolicy)}
	for _, env := range step.Env {
		if env.ValueFrom != nil && strings.Contains(env.ValueFrom.String(), "$(") {
			return false
		}
		texts = append(texts, env.Value)
	}
	for _, mount := range step.VolumeMounts {
		texts = append(texts, mount.Name, mount.MountPath, mount.SubPath)
	}
	for _, text := range texts {
		if !d.plainText(spec, text, false) {
			return false
		}
	}
	return d.plainText(spec, step.Script, true)
}

// plainList tells whether a word of a command is nothing but a whole list.
func (d *tektonDeclared) plainList(spec *v1.TaskSpec, word string) bool {
	found := tektonPlainList.FindStringSubmatch(word)
	return found != nil && d.known(spec, found[1])
}

// known tells whether the steps of a specification may use a param.
func (d *tektonDeclared) known(spec *v1.TaskSpec, name string) bool {
	return d.params[name] || slices.ContainsFunc(spec.Params, func(p v1.ParamSpec) bool { return p.Name == name })
}

// plainText looks at each $( in a text, since Tekton's expressions match from there to
// the next parenthesis at least.
func (d *tektonDeclared) plainText(spec *v1.TaskSpec, text string, script bool) bool {
	for {
		_, rest, found := strings.Cut(text, "$(")
		if !found {
			return true
		}
		if !d.plainReference(spec, rest, script) {
			return false
		}
		text = rest
	}
}

var (
	tektonPlainParam  = lazyregexp.New(`^params\.([A-Za-z0-9_-]+)(\[[0-9]+\])?\)`)
	tektonPlainList   = lazyregexp.New(`^\$\(params\.([A-Za-z0-9_-]+)\[\*\]\)$`)
	tektonPlainResult = lazyregexp.New(`^results\.([A-Za-z0-9_-]+)\.path\)`)
	// tektonPlainContext is what v1.15.0 knows (pkg/apis/pipeline/v1/task_validation.go),
	// and what it does not look at in steps.
	tektonPlainContext = lazyregexp.New(`^context\.(taskRun\.(name|namespace|uid)|task\.(name|retry-count)|pipeline\.name|pipelineRun\.(name|namespace|uid))\)`)
)

// plainReference tells whether what follows a $( is a reference that Tekton does not look
// for in steps, or one to something that is declared.
func (d *tektonDeclared) plainReference(spec *v1.TaskSpec, rest string, script bool) bool {
	switch {
	case strings.HasPrefix(rest, "params"):
		found := tektonPlainParam.FindStringSubmatch(rest)
		return found != nil && d.known(spec, found[1]) && (found[2] != "" || !d.lists[found[1]])
	case strings.HasPrefix(rest, "results") && script:
		found := tektonPlainResult.FindStringSubmatch(rest)
		return found != nil &&
			slices.ContainsFunc(spec.Results, func(r v1.TaskResult) bool { return r.Name == found[1] })
	case strings.HasPrefix(rest, "context"):
		return tektonPlainContext.MatchString(rest)
	}
	return !strings.HasPrefix(rest, "tasks") && !strings.HasPrefix(rest, "finally")
}
