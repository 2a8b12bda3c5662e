package object

import (
	"cmp"
	"fmt"
	"strings"
)

// Reference is a stored Task that a TaskRun refers to.
type Reference struct {
	Name string
	// Namespace is that of the Task; "" means that of the run.
	Namespace string
	Run       Run

	fields map[string]any // the taskRef
}

// ReferenceOf returns the local Task that a TaskRun refers to by its name alone.
// It reports false for every other form: written out, fetched by a resolver or
// from a bundle, a ClusterTask, or a custom task.
func ReferenceOf(taskRun map[string]any) (Reference, bool) {
	var r Reader
	spec := r.Fields(taskRun, "spec")
	ref := r.Fields(spec, "taskRef")
	kind, name := r.Text(ref, "kind"), r.Text(ref, "name")
	local := (kind == "" || kind == "Task") && r.Text(ref, "resolver") == "" && r.Text(ref, "bundle") == "" &&
		(r.Text(ref, "apiVersion") == "" || strings.HasPrefix(r.Text(ref, "apiVersion"), "tekton.dev/"))
	if name == "" || !local || ref["params"] != nil || spec["taskSpec"] != nil {
		return Reference{}, false
	}
	return Reference{Name: name, Run: runOf(spec, &r), fields: ref}, !r.Odd
}

// FetchDefaults are what the cluster resolver takes for params that a reference leaves out: the
// fields default-kind and default-namespace of its ConfigMap.
type FetchDefaults struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// FetchedOf returns the Task that Tekton's cluster resolver fetches for a TaskRun. It
// reports false if neither the reference nor the defaults say so in full. Without a default the
// kind is task, as Tekton ships it.
func FetchedOf(taskRun map[string]any, defaults FetchDefaults) (Reference, bool) {
	var r Reader
	spec := r.Fields(taskRun, "spec")
	ref := r.Fields(spec, "taskRef")
	kind, name, namespace := fetched(&r, ref)
	kind, namespace = cmp.Or(kind, defaults.Kind, "task"), cmp.Or(namespace, defaults.Namespace)
	said := kind == "task" && name != "" && namespace != "" && !strings.Contains(name, "$(")
	if !said || spec["taskSpec"] != nil {
		return Reference{}, false
	}
	return Reference{Name: name, Namespace: namespace, Run: runOf(spec, &r), fields: ref}, !r.Odd
}

// fetched returns what a reference has the cluster resolver fetch, "" for what it does not
// say (pkg/resolution/resolver/cluster/params.go, pipeline v1.15.0).
func fetched(r *Reader, ref map[string]any) (kind, name, namespace string) {
	if r.Text(ref, "resolver") != "cluster" {
		return "", "", ""
	}
	for _, param := range r.FieldsList(ref, "params") {
		value, _ := param["value"].(string)
		switch param["name"] {
		case "kind":
			kind = value
		case "name":
			name = value
		case "namespace":
			namespace = value
		}
	}
	return kind, name, namespace
}

// Fetch makes Tekton's cluster resolver fetch the Task from the run's namespace.
func (ref Reference) Fetch(namespace string) { fetch(ref.fields, "task", ref.Name, namespace) }

func fetch(ref map[string]any, kind, name, namespace string) {
	delete(ref, "name")
	ref["resolver"] = "cluster"
	ref["params"] = []any{
		map[string]any{"name": "kind", "value": kind},
		map[string]any{"name": "name", "value": name},
		map[string]any{"name": "namespace", "value": namespace},
	}
}

// NameOfTask returns the name by which a TaskRun refers to a Task, be it alone or beside
// what has it fetched; "" for none.
func NameOfTask(taskRun map[string]any) string {
	var r Reader
	ref := r.Fields(r.Fields(taskRun, "spec"), "taskRef")
	resolver, kind := r.Text(ref, "resolver"), r.Text(ref, "kind")
	if resolver != "" && resolver != "cluster" || kind != "" && kind != "Task" {
		return ""
	}
	return r.Text(ref, "name")
}

// Fetch makes a TaskRun that has a taskRef fetch the Task that another one fetches.
func Fetch(taskRun map[string]any, as Reference) {
	var r Reader
	fetch(r.Fields(r.Fields(taskRun, "spec"), "taskRef"), "task", as.Name, as.Namespace)
}

// TaskOf returns the task of a Task's specification as a run would see it, its
// path naming the Task.
func (ref Reference) TaskOf(spec map[string]any) Task {
	return Task{Path: fmt.Sprintf("Task %q, spec", ref.Name), Spec: spec, Run: ref.Run}.Remembering()
}

// ActionReference is a StepAction of the namespace that a step refers to.
type ActionReference struct {
	Name string
	Path string // of the reference

	fields map[string]any
}

// Fetch makes Tekton's cluster resolver fetch the StepAction from the namespace.
func (ref ActionReference) Fetch(namespace string) {
	fetch(ref.fields, "stepaction", ref.Name, namespace)
}

// Action returns the StepAction of the namespace that a step refers to by its name alone.
func (s Step) Action() (ActionReference, bool) {
	var r Reader
	ref := r.Fields(s.Fields, "ref")
	name := r.Text(ref, "name")
	if s.form != formTask || name == "" || r.Text(ref, "resolver") != "" || ref["params"] != nil ||
		strings.Contains(name, "$(") || r.Odd {
		return ActionReference{}, false
	}
	return ActionReference{Name: name, Path: s.Path + ".ref", fields: ref}, true
}
