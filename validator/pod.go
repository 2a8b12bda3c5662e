package validator

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var podKind = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}

// judgePod judges a Pod of a TaskRun, by rules that may refuse it: all others have judged
// the TaskRun. Only the Pod has the values of a Task that a resolver fetched, and those of
// StepActions.
func (j *judgement) judgePod(ctx context.Context, pass *rule.Pass) {
	run, places := asRun(pass.Object)
	whole := pass.With(run)
	whole.Kind = rule.TaskRuns[0]
	for _, r := range j.validator.rules() {
		if !j.validator.Config.handles(r, podKind.Kind) || j.mode(r) != rule.Enforce {
			continue
		}
		found, unknown, err := whole.Judge(ctx, r, rule.Enforce)
		for _, f := range found {
			f.Path, f.Fix = inPod(f.Path, places), nil
		}
		j.take(ctx, r, j.judged(ctx, r, whole.Kind, found))
		j.note(Unjudged{r.ID, rule.Enforce}, unknown, err)
	}
}

// asRun returns a Pod as a TaskRun with the same containers, and where its parts are in the
// Pod. Tekton calls the containers of a Task's steps and sidecars step-… and sidecar-…:
// containers of other names are its own, or another webhook's.
func asRun(pod map[string]any) (run map[string]any, places map[string]string) {
	var r object.Reader
	spec := r.Fields(pod, "spec")
	task := map[string]any{"volumes": spec["volumes"]}
	places = map[string]string{embeddedTask + ".volumes": "spec.volumes", "spec.podTemplate": "spec"}
	add := func(list, place string, container map[string]any) {
		others, _ := task[list].([]any)
		places[fmt.Sprintf("%s.%s[%d]", embeddedTask, list, len(others))] = place
		task[list] = append(others, container)
	}
	for _, step := range stepsOf(pod) {
		add("steps", step.Path, asStep(step))
	}
	for _, list := range []string{"containers", "initContainers"} { // native sidecars are among the latter
		for i, fields := range r.FieldsList(spec, list) {
			if sidecar := asSidecar(fields); sidecar != nil {
				add("sidecars", fmt.Sprintf("spec.%s[%d]", list, i), sidecar)
			}
		}
	}
	template := maps.Clone(spec)
	for _, key := range []string{"containers", "initContainers", "volumes"} {
		delete(template, key)
	}
	return map[string]any{
		"apiVersion": rule.TaskRuns[0].GroupVersion().String(), "kind": rule.TaskRuns[0].Kind,
		"metadata": pod["metadata"],
		"spec": map[string]any{
			"taskSpec": task, "podTemplate": template, "serviceAccountName": spec["serviceAccountName"],
		},
	}, places
}

func stepsOf(pod map[string]any) []object.Step {
	var steps []object.Step
	for _, task := range object.Tasks(pod) {
		found, _ := task.Steps()
		steps = append(steps, found...)
	}
	return steps
}

// asStep returns a container as a step, without Tekton's entrypoint.
func asStep(container object.Step) map[string]any {
	var r object.Reader
	command, args := container.Program(&r)
	step := maps.Clone(container.Fields)
	step["name"], step["command"], step["args"] = container.Name(), texts(command), texts(args)
	return step
}

func texts(list []string) []any {
	var all []any
	for _, text := range list {
		all = append(all, text)
	}
	return all
}

// resultsSidecar is Tekton's own; Tekton refuses a Task's sidecar of that name.
const resultsSidecar = "sidecar-tekton-log-results"

// asSidecar returns a container as a sidecar, nil for one that is none of the Task's.
func asSidecar(container map[string]any) map[string]any {
	var r object.Reader
	full := r.Text(container, "name")
	name, is := strings.CutPrefix(full, "sidecar-")
	if !is || full == resultsSidecar {
		return nil
	}
	sidecar := maps.Clone(container)
	sidecar["name"] = name
	return sidecar
}

// inPod returns where in the Pod a path of its TaskRun is. It names no argument, since
// those of Tekton's entrypoint are before it.
func inPod(path string, places map[string]string) string {
	for in, place := range places {
		rest, is := strings.CutPrefix(path, in)
		if !is {
			continue
		}
		if field, _, isStep := strings.Cut(rest, "["); isStep && (field == ".args" || field == ".command") {
			rest = ".args"
		}
		return place + rest
	}
	return path
}

// exceptedByRun reports whether an exception on a Pod is that of an author of the
// namespace. Tekton copies the annotations of the TaskRun, among which it has merged those
// of the Task. If a resolver has fetched the Task, then its author may be anybody, and only
// what an author wrote on the run counts.
func (j *judgement) exceptedByRun(ctx context.Context, of *rule.Rule) bool {
	var r object.Reader
	meta := r.Fields(j.subject.Fields, "metadata")
	key := exceptionPrefix + of.ID
	value := r.Text(r.Fields(meta, "annotations"), key)
	name, uid := ownerOf(meta, "TaskRun")
	run, err := j.memory.Get(ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: "TaskRun"}, j.namespace, name)
	meta = r.Fields(run, "metadata")
	if err != nil || run == nil || r.Text(meta, "uid") != uid {
		j.out.Unknown = append(j.out.Unknown, fmt.Sprintf(
			"the exception does not count, since TaskRun %q, from which it comes, was not found: %v (rule %s)",
			name, err, of.ID))
		return false
	}
	task, _ := localTask(run, j.namespace)
	if task != "" && j.isAnnotated(ctx, task, key, value) {
		return true
	}
	ref := r.Fields(r.Fields(run, "spec"), "taskRef")
	fetched := task == "" && (r.Text(ref, "resolver") != "" || r.Text(ref, "bundle") != "")
	if parent, _ := ownerOf(meta, "PipelineRun"); parent != "" {
		return j.inherits(ctx, of, meta, fetched)
	}
	// Before the controller has written a status, it cannot be told from an author.
	return !fetched || run["status"] != nil && isAuthored(meta, key, value)
}

// isAnnotated reports whether a Task of the namespace has an annotation.
func (j *judgement) isAnnotated(ctx context.Context, name, key, value string) bool {
	var r object.Reader
	task, err := j.memory.Get(ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: "Task"}, j.namespace, name)
	return err == nil && r.Text(r.Fields(r.Fields(task, "metadata"), "annotations"), key) == value
}
