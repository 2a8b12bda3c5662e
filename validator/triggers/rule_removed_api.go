package triggers

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var removedAPIRule = &rule.Rule{
	ID:       "removed-api",
	Severity: rule.Error,
	Since:    "v1.0.0",
	Kinds:    slices.Concat(rule.WithSteps, rule.Served(rule.TektonGroup, "Run", "v1alpha1")),
	Doc: `Finds what Tekton no longer has, and says what stands in its place:

| removed | today |
|---|---|
| kind Run (after v0.44) | CustomRun |
| kind ClusterTask and ` + "`taskRef.kind: ClusterTask`" + ` | a Task, by the cluster resolver |
| ` + "`taskRef.bundle`, `pipelineRef.bundle`" + ` | the bundles resolver |
| tekton.dev/v1alpha1 of Task, TaskRun, Pipeline, PipelineRun | v1, ` + "`params`, `workspaces`, `results`" + ` |

Pipelines v1 does not serve it (docs/deprecations.md), or refuses it without a word of the
way out; in a TriggerTemplate not before an event comes, after a 202. PipelineResources and
Conditions are those of removed-resources and removed-conditions.`,
	Check: checkRemovedAPI,
}

func checkRemovedAPI(_ context.Context, p *rule.Pass) {
	switch p.Kind.Kind {
	case "Run":
		p.Report("kind", "Runs are gone after Pipelines v0.44: write a CustomRun of tekton.dev/v1beta1")
		return
	case "ClusterTask":
		p.Report("kind",
			"ClusterTasks are gone from Pipelines v1: make a Task of it in one namespace, and refer to it by the cluster resolver")
	default:
		if p.Kind.Version == "v1alpha1" && p.Kind.Kind != "StepAction" {
			p.Report("apiVersion",
				"tekton.dev/v1alpha1 of %s is not served by Pipelines v1: write tekton.dev/v1, with params, workspaces and results in place of inputs and outputs",
				p.Kind.Kind)
		}
	}
	for _, s := range apiSpecsIn(p) {
		removedReference(p, s, "taskRef", "task")
		removedReference(p, s, "pipelineRef", "pipeline")
	}
}

// apiSpec is a part of an object in which a reference to a task or pipeline may stand.
type apiSpec struct {
	Path   string
	Fields map[string]any
}

// apiSpecsIn returns those of Tekton Pipelines' kinds: runs, pipelines and their tasks.
func apiSpecsIn(p *rule.Pass) []apiSpec {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "TaskRun":
		return []apiSpec{{"spec", spec}}
	case "Pipeline":
		return apiPipelineSpecs("spec", spec)
	case "PipelineRun":
		return append([]apiSpec{{"spec", spec}},
			apiPipelineSpecs("spec.pipelineSpec", r.Fields(spec, "pipelineSpec"))...)
	}
	return nil
}

func apiPipelineSpecs(path string, spec map[string]any) []apiSpec {
	var r object.Reader
	found := []apiSpec{{path, spec}}
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(spec, list) {
			at := fmt.Sprintf("%s.%s[%d]", path, list, i)
			found = append(found, apiSpec{at, task})
		}
	}
	return found
}

// removedReference is about a taskRef or pipelineRef, which name a task or pipeline.
func removedReference(p *rule.Pass, s apiSpec, field, kind string) {
	var r object.Reader
	ref, path := r.Fields(s.Fields, field), s.Path+"."+field
	name, bundle := r.Text(ref, "name"), r.Text(ref, "bundle")
	// A kind of another group is somebody's custom task.
	cluster := r.Text(ref, "kind") == "ClusterTask" &&
		(ref["apiVersion"] == nil || r.Text(ref, "apiVersion") == "tekton.dev/v1beta1")
	switch {
	case bundle != "":
		finding := p.Report(path+".bundle",
			"bundle is gone from %s: write resolver: bundles, with params bundle, name and kind",
			field)
		if name != "" && ref["resolver"] == nil {
			p.Mend(finding,
				rule.Edit{Op: "replace", Path: path,
					Value: byResolver("bundles", "bundle", bundle, "name", name, "kind", kind)})
		}
	case cluster:
		p.Report(path+".kind",
			"ClusterTasks are gone from Pipelines v1: write resolver: cluster, with params kind: task, name: %s and the namespace of the Task that took its place",
			name)
	}
}

// byResolver is a reference by a resolver, with its params.
func byResolver(resolver string, params ...string) map[string]any {
	var list []any
	for pair := range slices.Chunk(params, 2) {
		list = append(list, map[string]any{"name": pair[0], "value": pair[1]})
	}
	return map[string]any{"resolver": resolver, "params": list}
}
