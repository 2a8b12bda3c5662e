package validator

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
)

var paramPolicyRule = &Rule{
	ID:       "param-policy",
	Severity: Error,
	OptIn:    true,
	Kinds:    slices.Concat(runs, pipelines),
	Doc: `Finds params whose value policy.trust.params does not allow, in runs and in the tasks of
pipelines, and PipelineRuns without one that is required there; the default of a pipeline
that the run writes out counts.

So builds are kept hermetic (` + "`{name: hermetic, values: [\"true\"], required: true}`" + `) and the
prefetching of dependencies strict (` + "`{name: prefetch-mode, values: [strict]}`" + `).`,
	Check: checkParamPolicy,
}

// valuesOf lets the params name the place of their value.
func valuesOf(params []param, key string) []param {
	for i := range params {
		params[i].Path += "." + key
	}
	return params
}

func checkParamPolicy(_ context.Context, p *Pass) {
	var r object.Reader
	if len(policyOf[TrustPolicy](p).Params) == 0 {
		return
	}
	spec := r.Fields(p.Object, "spec")
	var given []param
	if p.Kind.Kind != "Pipeline" { // its own params are declarations
		given = valuesOf(paramsIn(spec, "spec"), "value")
	}
	pipeline, at := pipelineIn(p)
	if p.Kind.Kind == "PipelineRun" {
		for _, declared := range valuesOf(paramsIn(pipeline, at), "default") {
			if !slices.ContainsFunc(given, func(g param) bool { return g.Name == declared.Name }) {
				given = append(given, declared)
			}
		}
		requireParams(p, given)
	}
	if p.Kind.Kind != "TaskRun" {
		given = append(given, taskParams(pipeline, at)...)
	}
	for _, g := range given {
		judgeParam(p, g)
	}
}

func requireParams(p *Pass, given []param) {
	for _, policy := range policyOf[TrustPolicy](p).Params {
		named := func(g param) bool { return g.Name == policy.Name && g.Value != nil }
		if policy.Required && !slices.ContainsFunc(given, named) {
			p.Report("spec.params", "param %.63q is required of every PipelineRun in this cluster: add it", policy.Name)
		}
	}
}

// taskParams returns the params that a pipeline gives its tasks.
func taskParams(pipeline map[string]any, at string) []param {
	var r object.Reader
	var found []param
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(pipeline, list) {
			path := fmt.Sprintf("%s.%s[%d]", at, list, i)
			found = append(found, valuesOf(paramsIn(task, path), "value")...)
			found = append(found, taskParams(r.Fields(task, "pipelineSpec"), path+".pipelineSpec")...)
		}
	}
	return found
}

func judgeParam(p *Pass, g param) {
	for _, policy := range policyOf[TrustPolicy](p).Params {
		if policy.Name != g.Name || len(policy.Values) == 0 {
			continue
		}
		for _, text := range textsIn(g.Value, g.Path) {
			if certain(text.Value) && !slices.Contains(policy.Values, text.Value) {
				p.Report(text.Path, "param %.63q has a value that this cluster does not allow: use one of %.120v", g.Name, policy.Values)
			}
		}
	}
}
