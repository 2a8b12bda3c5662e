package validator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

// secPlace is an object within the object that is judged, and where it stands.
type secPlace struct {
	Path   string
	Unit   string // how to call it: `sidecar "docker"`
	Fields map[string]any
}

// secContainer is a place where the fields of a container stand.
type secContainer struct {
	secPlace
	Task     object.Task
	Step     *object.Step   // nil for a sidecar and the stepTemplate
	Template map[string]any // the stepTemplate that a step is merged with
}

// secContainers returns all steps and sidecars that an object writes out, and the
// stepTemplates.
func secContainers(p *Pass) []secContainer {
	return once(p, "secContainers", func() []secContainer { return walkSecContainers(p) })
}

func walkSecContainers(p *Pass) []secContainer {
	var r object.Reader
	var found []secContainer
	for _, task := range object.Tasks(p.Object) {
		template := task.Template(&r)
		if template != nil {
			found = append(found, secContainer{secPlace: secPlace{task.Path + ".stepTemplate", "the stepTemplate", template}, Task: task})
		}
		steps, _ := task.Steps()
		for _, step := range steps {
			found = append(found, secContainer{secPlace{step.Path, secStepUnit(p, step), step.Fields}, task, &step, template})
		}
		for i, fields := range r.FieldsList(task.Spec, "sidecars") {
			path := fmt.Sprintf("%s.sidecars[%d]", task.Path, i)
			found = append(found, secContainer{secPlace: secPlace{path, secNamed(fields, "sidecar"), fields}, Task: task})
		}
	}
	return found
}

// secSteps returns the steps alone, without those that a StepAction defines.
func secSteps(p *Pass) []secContainer {
	return slices.DeleteFunc(slices.Clone(secContainers(p)), func(c secContainer) bool { return c.Step == nil || c.Fields["ref"] != nil })
}

// secEnds returns the containers that there will be: steps and sidecars, each with what
// the stepTemplate adds.
func secEnds(p *Pass) []secContainer {
	return slices.DeleteFunc(slices.Clone(secContainers(p)), func(c secContainer) bool {
		return c.Unit == "the stepTemplate" || c.Fields["ref"] != nil
	})
}

func secStepUnit(p *Pass, step object.Step) string {
	if p.Kind.Kind == "StepAction" {
		return "this StepAction"
	}
	return secNamed(step.Fields, "step")
}

// secNamed calls something by its name, or else by what it is.
func secNamed(fields map[string]any, what string) string {
	var r object.Reader
	if name := r.Text(fields, "name"); name != "" {
		return fmt.Sprintf("%s %q", what, name)
	}
	return "this " + what
}

// security returns a field of the securityContext that holds for a container: its
// own, the stepTemplate's, or, if pod says that a Pod has it too, the run's.
func (c secContainer) security(key string, pod bool) any {
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

// secPodTemplates returns the podTemplates of a run: its own, and those for single
// tasks.
func secPodTemplates(p *Pass) []secPlace {
	var r object.Reader
	var found []secPlace
	add := func(path string, holder map[string]any, key string) {
		if fields := r.Fields(holder, key); fields != nil {
			found = append(found, secPlace{path + "." + key, "this podTemplate", fields})
		}
	}
	settings, ok := object.SettingsOf(p.Object)
	if !ok {
		return nil
	}
	add(settings.Path, settings.Fields, "podTemplate")
	for _, own := range secTaskRunSpecs(p) {
		add(own.Path, own.Fields, "podTemplate")
		add(own.Path, own.Fields, "taskPodTemplate")
	}
	return found
}

// secTaskRunSpecs returns what a PipelineRun says about single tasks.
func secTaskRunSpecs(p *Pass) []secPlace {
	if p.Kind.Kind != "PipelineRun" {
		return nil
	}
	var r object.Reader
	return secListed(r.FieldsList(r.Fields(p.Object, "spec"), "taskRunSpecs"), "spec.taskRunSpecs", "task")
}

// secPipelineTasks returns the tasks of a Pipeline or of a PipelineRun's pipelineSpec,
// those of finally and of pipelines within it too.
func secPipelineTasks(p *Pass) []secPlace {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "PipelineRun":
		return secTasksOf(r.Fields(spec, "pipelineSpec"), "spec.pipelineSpec")
	case "Pipeline":
		return secTasksOf(spec, "spec")
	}
	return nil
}

func secTasksOf(spec map[string]any, path string) []secPlace {
	var r object.Reader
	var found []secPlace
	for _, list := range []string{"tasks", "finally"} {
		for _, task := range secListed(r.FieldsList(spec, list), path+"."+list, "task") {
			found = append(found, task)
			found = append(found, secTasksOf(r.Fields(task.Fields, "pipelineSpec"), task.Path+".pipelineSpec")...)
		}
	}
	return found
}

func secListed(items []map[string]any, path, what string) []secPlace {
	found := make([]secPlace, 0, len(items))
	for i, fields := range items {
		found = append(found, secPlace{fmt.Sprintf("%s[%d]", path, i), secNamed(fields, what), fields})
	}
	return found
}

// secVolumes returns the volumes of all tasks and podTemplates.
func secVolumes(p *Pass) []secPlace {
	var r object.Reader
	var found []secPlace
	for _, task := range object.Tasks(p.Object) {
		found = append(found, secListed(r.FieldsList(task.Spec, "volumes"), task.Path+".volumes", "volume")...)
	}
	for _, template := range secPodTemplates(p) {
		found = append(found, secListed(r.FieldsList(template.Fields, "volumes"), template.Path+".volumes", "volume")...)
	}
	return found
}

// secAccounts returns the ServiceAccounts that a run names, by where they stand. The
// first is the run's own, "" where it names none.
func secAccounts(p *Pass) []text {
	settings, ok := object.SettingsOf(p.Object)
	if !ok {
		return nil
	}
	var r object.Reader
	found := []text{{settings.Path + ".serviceAccountName", r.Text(settings.Fields, "serviceAccountName")}}
	for _, own := range secTaskRunSpecs(p) {
		for _, key := range []string{"serviceAccountName", "taskServiceAccountName"} {
			if name := r.Text(own.Fields, key); name != "" {
				found = append(found, text{own.Path + "." + key, name})
			}
		}
	}
	for i, own := range r.FieldsList(r.Fields(p.Object, "spec"), "serviceAccountNames") { // before v0.31
		if name := r.Text(own, "serviceAccountName"); name != "" && p.Kind.Kind == "PipelineRun" {
			found = append(found, text{fmt.Sprintf("spec.serviceAccountNames[%d].serviceAccountName", i), name})
		}
	}
	return found
}

// secPrograms returns the script of a container, its command and its arguments.
func secPrograms(c secContainer) []text {
	var r object.Reader
	places := []text{{c.Path + ".script", r.Text(c.Fields, "script")}}
	for _, list := range []string{"command", "args"} {
		for i, word := range r.TextList(c.Fields, list) {
			places = append(places, text{fmt.Sprintf("%s.%s[%d]", c.Path, list, i), word})
		}
	}
	return places
}

// secUncommented is a script without its comments and what it prints, each command in one
// line.
func secUncommented(script string) string {
	var kept strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		start := strings.TrimSpace(line)
		if !strings.HasPrefix(start, "#") && !strings.HasPrefix(start, "echo ") && !strings.HasPrefix(start, "printf ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
