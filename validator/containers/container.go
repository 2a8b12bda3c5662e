package containers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// place is an object within the object that is judged, and where it stands.
type place struct {
	Path   string
	Unit   string // how to call it: `sidecar "docker"`
	Fields map[string]any
	of     *object.Task // whose params it may name; nil for none
}

// within says whose params places may name.
func within(task object.Task, places []place) []place {
	for i := range places {
		places[i].of = &task
	}
	return places
}

// runOf is the run itself as what gives its params to workspaces and podTemplates.
func runOf(p *rule.Pass) object.Task {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	run := object.Task{Run: object.Run{Params: r.FieldsList(spec, "params")}, Spec: r.Fields(spec, "taskSpec")}
	return run.Remembering()
}

// container is a place where the fields of a container stand.
type container struct {
	place
	Task     object.Task
	Step     *object.Step   // nil for a sidecar and the stepTemplate
	Template map[string]any // the stepTemplate that a step is merged with
}

// containersIn returns all steps and sidecars that an object writes out, and the
// stepTemplates.
func containersIn(p *rule.Pass) []container {
	return rule.Once(p, "containersIn", func() []container { return walkContainers(p) })
}

func walkContainers(p *rule.Pass) []container {
	var r object.Reader
	var found []container
	for _, task := range object.Tasks(p.Object) {
		template := task.Template(&r)
		if template != nil {
			at := place{Path: task.Path + ".stepTemplate", Unit: "the stepTemplate", Fields: template}
			found = append(found, container{place: at, Task: task})
		}
		steps, _ := task.Steps()
		for _, step := range steps {
			at := place{Path: step.Path, Unit: stepUnit(p, step), Fields: step.Fields}
			found = append(found, container{at, task, &step, template})
		}
		for i, fields := range r.FieldsList(task.Spec, "sidecars") {
			path := fmt.Sprintf("%s.sidecars[%d]", task.Path, i)
			at := place{Path: path, Unit: unitOf(fields, "sidecar"), Fields: fields}
			found = append(found, container{place: at, Task: task})
		}
	}
	return found
}

// stepsIn returns the steps alone, without those that a StepAction defines.
func stepsIn(p *rule.Pass) []container {
	return slices.DeleteFunc(slices.Clone(containersIn(p)), func(c container) bool {
		return c.Step == nil || c.Fields["ref"] != nil
	})
}

// finalContainers returns the containers that there will be: steps and sidecars, each with what
// the stepTemplate adds.
func finalContainers(p *rule.Pass) []container {
	return slices.DeleteFunc(slices.Clone(containersIn(p)), func(c container) bool {
		return c.Unit == "the stepTemplate" || c.Fields["ref"] != nil
	})
}

func stepUnit(p *rule.Pass, step object.Step) string {
	if p.Kind.Kind == "StepAction" {
		return "this StepAction"
	}
	return unitOf(step.Fields, "step")
}

// unitOf calls something by its name, or else by what it is.
func unitOf(fields map[string]any, what string) string {
	var r object.Reader
	if name := r.Text(fields, "name"); name != "" {
		return fmt.Sprintf("%s %q", what, name)
	}
	return "this " + what
}

// security returns a field of the securityContext that holds for a container: its
// own, the stepTemplate's, or, if pod says that a Pod has it too, the run's.
func (c container) security(key string, pod bool) any {
	var r object.Reader
	for _, fields := range []map[string]any{c.Fields, c.Template} {
		if value := r.Fields(fields, "securityContext")[key]; value != nil {
			return value
		}
	}
	for _, template := range slices.Backward(c.Task.Run.PodTemplates) {
		if value := r.Fields(template, "securityContext")[key]; pod && value != nil {
			return value
		}
	}
	return nil
}

// podTemplatesIn returns the podTemplates of a run: its own, and those for single
// tasks.
func podTemplatesIn(p *rule.Pass) []place {
	var r object.Reader
	var found []place
	add := func(path string, holder map[string]any, key string) {
		if fields := r.Fields(holder, key); fields != nil {
			found = append(found, place{Path: path + "." + key, Unit: "this podTemplate", Fields: fields})
		}
	}
	settings, ok := object.SettingsOf(p.Object)
	if !ok {
		return nil
	}
	add(settings.Path, settings.Fields, "podTemplate")
	for _, own := range taskRunSpecsIn(p) {
		add(own.Path, own.Fields, "podTemplate")
		add(own.Path, own.Fields, "taskPodTemplate")
	}
	return found
}

// taskRunSpecsIn returns what a PipelineRun says about single tasks.
func taskRunSpecsIn(p *rule.Pass) []place {
	if p.Kind.Kind != "PipelineRun" {
		return nil
	}
	var r object.Reader
	return placesIn(r.FieldsList(r.Fields(p.Object, "spec"), "taskRunSpecs"), "spec.taskRunSpecs", "task")
}

// pipelineTasksIn returns the tasks of a Pipeline or of a PipelineRun's pipelineSpec,
// those of finally and of pipelines within it too.
func pipelineTasksIn(p *rule.Pass) []place {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "PipelineRun":
		return tasksOf(r.Fields(spec, "pipelineSpec"), "spec.pipelineSpec")
	case "Pipeline":
		return tasksOf(spec, "spec")
	}
	return nil
}

func tasksOf(spec map[string]any, path string) []place {
	var r object.Reader
	var found []place
	for _, list := range []string{"tasks", "finally"} {
		for _, task := range placesIn(r.FieldsList(spec, list), path+"."+list, "task") {
			found = append(found, task)
			found = append(found, tasksOf(r.Fields(task.Fields, "pipelineSpec"), task.Path+".pipelineSpec")...)
		}
	}
	return found
}

func placesIn(items []map[string]any, path, what string) []place {
	found := make([]place, 0, len(items))
	for i, fields := range items {
		found = append(found, place{Path: fmt.Sprintf("%s[%d]", path, i), Unit: unitOf(fields, what), Fields: fields})
	}
	return found
}

// volumesIn returns the volumes of all tasks and podTemplates.
func volumesIn(p *rule.Pass) []place {
	var r object.Reader
	var found []place
	for _, task := range object.Tasks(p.Object) {
		volumes := placesIn(r.FieldsList(task.Spec, "volumes"), task.Path+".volumes", "volume")
		found = append(found, within(task, volumes)...)
	}
	run := runOf(p)
	for _, template := range podTemplatesIn(p) {
		volumes := placesIn(r.FieldsList(template.Fields, "volumes"), template.Path+".volumes", "volume")
		found = append(found, within(run, volumes)...)
	}
	return found
}

// accountsIn returns the ServiceAccounts that a run names, by where they stand. The
// first is the run's own, "" where it names none.
func accountsIn(p *rule.Pass) []rule.Text {
	var found []rule.Text
	for _, account := range object.AccountsOf(p.Object) {
		found = append(found, rule.Text{Path: account.Path, Value: account.Name})
	}
	return found
}

// programsOf returns the script of a container, its command and its arguments.
func programsOf(c container) []rule.Text {
	var r object.Reader
	places := []rule.Text{{Path: c.Path + ".script", Value: r.Text(c.Fields, "script")}}
	for _, list := range []string{"command", "args"} {
		for i, word := range r.TextList(c.Fields, list) {
			places = append(places, rule.Text{Path: fmt.Sprintf("%s.%s[%d]", c.Path, list, i), Value: word})
		}
	}
	return places
}

// uncommented is a script without its comments and what it prints, each command in one
// line.
func uncommented(script string) string {
	var kept strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		start := strings.TrimSpace(line)
		if !strings.HasPrefix(start, "#") && !strings.HasPrefix(start, "echo ") &&
			!strings.HasPrefix(start, "printf ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
