package validator

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
)

var removedAPIRule = &Rule{
	ID:       "removed-api",
	Severity: Error,
	Kinds:    slices.Concat(withSteps, gone[:len(gone)-len(clusterTasks)]),
	Doc: `Finds what Tekton no longer has, and says what stands in its place:

| removed | today |
|---|---|
| kind PipelineResource and ` + "`resources`" + ` (after v0.44) | params, a workspace and a git-clone Task for git; a param and a result for an image |
| kind Condition and ` + "`conditions`" + ` | ` + "`when`" + ` |
| kind Run (after v0.44) | CustomRun |
| kind ClusterTask and ` + "`taskRef.kind: ClusterTask`" + ` | a Task, by the cluster resolver |
| ` + "`taskRef.bundle`, `pipelineRef.bundle`" + ` | the bundles resolver |
| tekton.dev/v1alpha1 of Task, TaskRun, Pipeline, PipelineRun; ` + "`inputs`, `outputs`" + ` | v1, ` + "`params`, `workspaces`, `results`" + ` |

Pipelines v1 does not serve it (docs/deprecations.md), or refuses it without a word of the
way out; in a TriggerTemplate not before an event comes, after a 202. Who runs a release
that still has it turns the rule off.`,
	Check: checkRemovedAPI,
}

func checkRemovedAPI(_ context.Context, p *Pass) {
	switch p.Kind.Kind {
	case "PipelineResource":
		p.Report("kind", "PipelineResources are gone after Pipelines v0.44: clone with a git-clone Task into a workspace in place of one of type git, and pass an image as a param and result")
		return
	case "Condition":
		p.Report("kind", "Conditions are gone from Pipelines v1: write when in the Pipeline's task")
		return
	case "Run":
		p.Report("kind", "Runs are gone after Pipelines v0.44: write a CustomRun of tekton.dev/v1beta1")
		return
	case "ClusterTask":
		p.Report("kind", "ClusterTasks are gone from Pipelines v1: make a Task of it in one namespace, and refer to it by the cluster resolver")
	default:
		if p.Kind.Version == "v1alpha1" && p.Kind.Kind != "StepAction" {
			p.Report("apiVersion", "tekton.dev/v1alpha1 of %s is not served by Pipelines v1: write tekton.dev/v1, with params, workspaces and results in place of inputs and outputs", p.Kind.Kind)
		}
	}
	for _, s := range apiSpecsIn(p) {
		p.removedFields(s)
		p.removedReference(s, "taskRef", "task")
		p.removedReference(s, "pipelineRef", "pipeline")
	}
}

// apiSpec is a part of an object in which removed fields may stand.
type apiSpec struct {
	Path   string
	Fields map[string]any
	Task   bool // of a Task, which may have had resources, inputs and outputs
}

// apiSpecsIn returns those of Tekton Pipelines' kinds: of tasks, pipelines, their tasks,
// and runs.
func apiSpecsIn(p *Pass) []apiSpec {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "Task", "ClusterTask":
		return []apiSpec{{"spec", spec, true}}
	case "TaskRun":
		return []apiSpec{{"spec", spec, true}, {"spec.taskSpec", r.Fields(spec, "taskSpec"), true}}
	case "Pipeline":
		return apiPipelineSpecs("spec", spec)
	case "PipelineRun":
		return append([]apiSpec{{"spec", spec, false}}, apiPipelineSpecs("spec.pipelineSpec", r.Fields(spec, "pipelineSpec"))...)
	}
	return nil
}

func apiPipelineSpecs(path string, spec map[string]any) []apiSpec {
	var r object.Reader
	found := []apiSpec{{path, spec, false}}
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(spec, list) {
			at := fmt.Sprintf("%s.%s[%d]", path, list, i)
			found = append(found, apiSpec{at, task, false}, apiSpec{at + ".taskSpec", r.Fields(task, "taskSpec"), true})
		}
	}
	return found
}

func (p *Pass) removedFields(s apiSpec) {
	if s.Fields["resources"] != nil {
		p.Report(s.Path+".resources", "resources are gone with PipelineResources, after Pipelines v0.44: take a workspace that a git-clone Task fills for git, and params and results for images")
	}
	if s.Fields["conditions"] != nil {
		p.Report(s.Path+".conditions", "conditions are gone from Pipelines v1: write when with input, operator and values")
	}
	for _, field := range []string{"inputs", "outputs"} {
		if s.Task && s.Fields[field] != nil {
			p.Report(s.Path+"."+field, "%s of a Task are gone with v1alpha1: write params, workspaces and results", field)
		}
	}
}

// removedReference is about a taskRef or pipelineRef, which name a task or pipeline.
func (p *Pass) removedReference(s apiSpec, field, kind string) {
	var r object.Reader
	ref, path := r.Fields(s.Fields, field), s.Path+"."+field
	name, bundle := r.Text(ref, "name"), r.Text(ref, "bundle")
	// A kind of another group is somebody's custom task.
	cluster := r.Text(ref, "kind") == "ClusterTask" && (ref["apiVersion"] == nil || r.Text(ref, "apiVersion") == "tekton.dev/v1beta1")
	switch {
	case bundle != "":
		finding := p.Report(path+".bundle", "bundle is gone from %s: write resolver: bundles, with params bundle, name and kind", field)
		if name != "" && ref["resolver"] == nil {
			p.Mend(finding, Edit{Op: "replace", Path: path, Value: byResolver("bundles", "bundle", bundle, "name", name, "kind", kind)})
		}
	case cluster:
		p.Report(path+".kind", "ClusterTasks are gone from Pipelines v1: write resolver: cluster, with params kind: task, name: %s and the namespace of the Task that took its place", name)
	}
}

// resolved is a reference by a resolver, with its params.
func byResolver(resolver string, params ...string) map[string]any {
	var list []any
	for pair := range slices.Chunk(params, 2) {
		list = append(list, map[string]any{"name": pair[0], "value": pair[1]})
	}
	return map[string]any{"resolver": resolver, "params": list}
}
