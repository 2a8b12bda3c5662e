package sources

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var paramPolicyRule = &rule.Rule{
	ID:       "param-policy",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    slices.Concat(rule.Runs, rule.Pipelines),
	Doc: `Finds params whose value policy.trust.params does not allow, in runs and in the tasks of
pipelines, and PipelineRuns without one that is required there; the default of a pipeline
that the run writes out counts.

So builds are kept hermetic (` + "`{name: hermetic, values: [\"true\"], required: true}`" + `) and the
prefetching of dependencies strict (` + "`{name: prefetch-mode, values: [strict]}`" + `).`,
	Check: checkParamPolicy,
}

// valuesOf lets the params name the place of their value.
func valuesOf(params []rule.Param, key string) []rule.Param {
	for i := range params {
		params[i].Path += "." + key
	}
	return params
}

func checkParamPolicy(_ context.Context, p *rule.Pass) {
	var r object.Reader
	if len(rule.PolicyOf[TrustPolicy](p).Params) == 0 {
		return
	}
	spec := r.Fields(p.Object, "spec")
	var given []rule.Param
	if p.Kind.Kind != "Pipeline" { // its own params are declarations
		given = valuesOf(rule.ParamsIn(spec, "spec"), "value")
	}
	pipeline, at := pipelineIn(p)
	if p.Kind.Kind == "PipelineRun" {
		for _, declared := range valuesOf(rule.ParamsIn(pipeline, at), "default") {
			if !slices.ContainsFunc(given, func(g rule.Param) bool { return g.Name == declared.Name }) {
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

func requireParams(p *rule.Pass, given []rule.Param) {
	for _, policy := range rule.PolicyOf[TrustPolicy](p).Params {
		named := func(g rule.Param) bool { return g.Name == policy.Name && g.Value != nil }
		if policy.Required && !slices.ContainsFunc(given, named) {
			p.Report("spec.params", "param %.63q is required of every PipelineRun in this cluster: add it", policy.Name)
		}
	}
}

// taskParams returns the params that a pipeline gives its tasks.
func taskParams(pipeline map[string]any, at string) []rule.Param {
	var r object.Reader
	var found []rule.Param
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(pipeline, list) {
			path := fmt.Sprintf("%s.%s[%d]", at, list, i)
			found = append(found, valuesOf(rule.ParamsIn(task, path), "value")...)
			found = append(found, taskParams(r.Fields(task, "pipelineSpec"), path+".pipelineSpec")...)
		}
	}
	return found
}

func judgeParam(p *rule.Pass, g rule.Param) {
	for _, policy := range rule.PolicyOf[TrustPolicy](p).Params {
		if policy.Name != g.Name || len(policy.Values) == 0 {
			continue
		}
		for _, text := range rule.TextsIn(g.Value, g.Path) {
			if certain(text.Value) && !slices.Contains(policy.Values, text.Value) {
				p.Report(text.Path,
					"param %.63q has a value that this cluster does not allow: use one of %.120v",
					g.Name, policy.Values)
			}
		}
	}
}
