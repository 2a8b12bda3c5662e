package object

import (
	"fmt"
	"slices"
	"strings"
)

// Tasks returns every list of steps that an object writes out, in their order. A
// run that refers to a Task has none, nor has JSON that is not of the shape that
// Tekton takes: Tekton will say so itself.
func Tasks(obj map[string]any) []Task {
	var r Reader
	version, kind := r.Text(obj, "apiVersion"), r.Text(obj, "kind")
	spec := r.Fields(obj, "spec")
	if spec == nil || r.Odd {
		return nil
	}
	switch {
	case kind == "Pod" && version == "v1":
		return podTask(spec)
	case !strings.HasPrefix(version, "tekton.dev/"):
		return nil
	}
	switch kind {
	case "Task", "ClusterTask":
		return []Task{Task{Path: "spec", Spec: spec}.Remembering()}
	case "StepAction":
		return []Task{Task{Path: "spec", Spec: spec, form: formStepAction}.Remembering()}
	case "TaskRun":
		return taskRunTask(spec)
	case "Pipeline":
		return pipelineTasks("spec", spec, &pipelineScope{declared: r.FieldsList(spec, "params")}, nil)
	case "PipelineRun":
		settings, _ := SettingsOf(obj)
		inline := r.Fields(spec, "pipelineSpec")
		values := &pipelineScope{run: r.FieldsList(spec, "params"), declared: r.FieldsList(inline, "params")}
		return pipelineTasks("spec.pipelineSpec", inline, values, newPipelineRun(spec, settings).task)
	}
	return nil
}

func podTask(spec map[string]any) []Task {
	var r Reader
	account := r.Text(spec, "serviceAccountName")
	if r.Odd {
		return nil
	}
	return []Task{{Path: "spec", Spec: spec, Run: Run{Known: true, ServiceAccount: account}, form: formPod}}
}

func taskRunTask(spec map[string]any) []Task {
	var r Reader
	task := r.Fields(spec, "taskSpec")
	run := runOf(spec, &r)
	if task == nil || r.Odd {
		return nil
	}
	return []Task{Task{Path: "spec.taskSpec", Spec: task, Run: run}.Remembering()}
}

// runOf reads what the specification of a TaskRun says about its task.
func runOf(spec map[string]any, r *Reader) Run {
	return Run{
		Known:          true,
		PodTemplates:   []map[string]any{r.Fields(spec, "podTemplate")},
		Bindings:       r.FieldsList(spec, "workspaces"),
		Params:         r.FieldsList(spec, "params"),
		ServiceAccount: r.Text(spec, "serviceAccountName"),
		Overrides:      slices.Concat(r.FieldsList(spec, "stepSpecs"), r.FieldsList(spec, "stepOverrides")),
		Resources:      r.Fields(spec, "computeResources"),
	}
}

// pipelineTasks walks the tasks of a pipeline that are written out, those of
// pipelines within it too. runOf says what is known of the run of each.
func pipelineTasks(at string, spec map[string]any, values *pipelineScope,
	runOf func(name string) (Run, bool)) []Task {
	var r Reader
	var tasks []Task
	for _, list := range []string{"tasks", "finally"} {
		each(spec[list], at+"."+list, func(fields map[string]any, at string) {
			if inner, ok := fields["pipelineSpec"].(map[string]any); ok {
				its := &pipelineScope{outer: values, fields: fields, declared: r.FieldsList(inner, "params")}
				tasks = append(tasks, pipelineTasks(at+".pipelineSpec", inner, its, nil)...)
			}
			task, ok := fields["taskSpec"].(map[string]any)
			// A specification that says what kind it is belongs to a custom task.
			if !ok || task["apiVersion"] != nil && task["apiVersion"] != "" {
				return
			}
			name, _ := fields["name"].(string)
			found := Task{Path: at + ".taskSpec", Spec: task, Name: name,
				scope: &scope{pipeline: values, fields: fields, declared: r.FieldsList(task, "params")}}
			if runOf != nil {
				if found.Run, ok = runOf(name); !ok {
					return
				}
			}
			tasks = append(tasks, found)
		})
	}
	return tasks
}

type pipelineRun struct {
	settings Settings
	odd      bool
	own      map[string][]map[string]any // taskRunSpecs by the task
	accounts map[string]string           // serviceAccountNames by the task, before v0.31
}

func newPipelineRun(spec map[string]any, settings Settings) *pipelineRun {
	var r Reader
	p := &pipelineRun{settings: settings}
	if list := r.FieldsList(spec, "taskRunSpecs"); len(list) > 0 {
		p.own = make(map[string][]map[string]any, len(list))
		for _, own := range list {
			name := r.Text(own, "pipelineTaskName")
			p.own[name] = append(p.own[name], own)
		}
	}
	if list := r.FieldsList(spec, "serviceAccountNames"); len(list) > 0 {
		p.accounts = make(map[string]string, len(list))
		for _, own := range list {
			p.accounts[r.Text(own, "taskName")] = r.Text(own, "serviceAccountName")
		}
	}
	p.odd = r.Odd
	return p
}

// task reads what a PipelineRun says about one of its tasks.
func (p *pipelineRun) task(name string) (Run, bool) {
	r := Reader{Odd: p.odd}
	run := Run{
		PodTemplates:   []map[string]any{r.Fields(p.settings.Fields, "podTemplate")},
		ServiceAccount: r.Text(p.settings.Fields, "serviceAccountName"),
	}
	for _, own := range p.own[name] {
		run.PodTemplates = append(run.PodTemplates, r.Fields(own, "podTemplate"), r.Fields(own, "taskPodTemplate"))
		run.Overrides = slices.Concat(r.FieldsList(own, "stepSpecs"), r.FieldsList(own, "stepOverrides"))
		run.Resources = r.Fields(own, "computeResources")
		for _, key := range []string{"serviceAccountName", "taskServiceAccountName"} {
			if account := r.Text(own, key); account != "" {
				run.ServiceAccount = account
			}
		}
	}
	if account, is := p.accounts[name]; is {
		run.ServiceAccount = account
	}
	return run, !r.Odd
}

// Settings is the place where a run says how its Pods are made: the fields
// serviceAccountName and podTemplate stand in it.
type Settings struct {
	Path   string         // "spec" or "spec.taskRunTemplate"
	Fields map[string]any // nil where the run says nothing yet

	spec map[string]any
}

// SettingsOf returns that place in a TaskRun or PipelineRun of any version. It
// reports false for other kinds, and where the JSON is not of the shape that
// Tekton takes.
func SettingsOf(obj map[string]any) (Settings, bool) {
	var r Reader
	version, kind := r.Text(obj, "apiVersion"), r.Text(obj, "kind")
	spec := r.Fields(obj, "spec")
	if spec == nil || !strings.HasPrefix(version, "tekton.dev/") || kind != "TaskRun" && kind != "PipelineRun" {
		return Settings{}, false
	}
	if kind == "PipelineRun" && version == "tekton.dev/v1" {
		return Settings{Path: "spec.taskRunTemplate", Fields: r.Fields(spec, "taskRunTemplate"), spec: spec}, !r.Odd
	}
	return Settings{Path: "spec", Fields: spec, spec: spec}, !r.Odd
}

// Set sets a field, and makes the place where there is none.
func (s *Settings) Set(key string, value any) {
	if s.Fields == nil {
		s.Fields = map[string]any{}
		s.spec["taskRunTemplate"] = s.Fields
	}
	s.Fields[key] = value
}

// Account is a place where a run names a ServiceAccount.
type Account struct {
	Path string
	Name string
	Task string // of the pipeline; "" for the run's own
}

// AccountsOf returns the ServiceAccounts that a TaskRun or PipelineRun of any version names.
// The first is the run's own, with the name "" if it names none. There are none for other
// kinds, and where the JSON is not of the shape that Tekton takes.
func AccountsOf(run map[string]any) []Account {
	settings, ok := SettingsOf(run)
	if !ok {
		return nil
	}
	var r Reader
	found := []Account{{
		Path: settings.Path + ".serviceAccountName", Name: r.Text(settings.Fields, "serviceAccountName"),
	}}
	if run["kind"] != "PipelineRun" {
		return found
	}
	spec := r.Fields(run, "spec")
	for i, own := range r.FieldsList(spec, "taskRunSpecs") {
		for _, key := range []string{"serviceAccountName", "taskServiceAccountName"} {
			if name := r.Text(own, key); name != "" {
				found = append(found,
					Account{fmt.Sprintf("spec.taskRunSpecs[%d].%s", i, key), name, r.Text(own, "pipelineTaskName")})
			}
		}
	}
	for i, own := range r.FieldsList(spec, "serviceAccountNames") { // before v0.31
		if name := r.Text(own, "serviceAccountName"); name != "" {
			found = append(found, Account{fmt.Sprintf("spec.serviceAccountNames[%d].serviceAccountName", i), name,
				r.Text(own, "taskName")})
		}
	}
	return found
}
