package containers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var missingLimitsRule = &rule.Rule{
	ID:       "missing-limits",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    slices.Concat(rule.Tasks, rule.ClusterTasks, rule.TaskRuns, rule.Pipelines, rule.PipelineRuns),
	Doc: `Finds steps and sidecars without a limit of the resources that
validator.policy.security.limits.required lists, such as memory.

Counted are their own computeResources (resources in v1beta1), the stepTemplate's, the
run's stepSpecs and sidecarSpecs, and computeResources of the run. A LimitRange of the
namespace is not known here. An empty list wants none.`,
	Check: checkMissingLimits,
}

func checkMissingLimits(_ context.Context, p *rule.Pass) {
	required := rule.PolicyOf[SecurityPolicy](p).Limits.Required
	if len(required) == 0 {
		return
	}
	for _, c := range finalContainers(p) {
		limits := missingLimitsOf(p, c)
		for _, name := range required {
			if !slices.ContainsFunc(limits, func(l map[string]any) bool { return l[name] != nil }) {
				p.Report(c.Path+".computeResources.limits",
					"%s has no limit of %s, which validator.policy.security.limits.required asks for, so it may take all that the node has: add one",
					c.Unit, name)
			}
		}
	}
}

// missingLimitsOf returns all limits that hold for a container.
func missingLimitsOf(p *rule.Pass, c container) []map[string]any {
	var r object.Reader
	holders := []map[string]any{c.Fields, c.Template}
	overrides := c.Task.Run.Overrides
	if c.Step != nil {
		holders = append(holders, map[string]any{"computeResources": c.Task.Run.Resources})
	} else {
		overrides = missingLimitsSidecars(p, c.Task.Name)
	}
	for _, own := range overrides {
		if r.Text(own, "name") == r.Text(c.Fields, "name") {
			holders = append(holders, own)
		}
	}
	var limits []map[string]any
	for _, holder := range holders {
		for _, key := range []string{"computeResources", "resources"} {
			limits = append(limits, r.Fields(r.Fields(holder, key), "limits"))
		}
	}
	return limits
}

// missingLimitsSidecars returns what a run says about the sidecars of a task; of a PipelineRun
// that with this name.
func missingLimitsSidecars(p *rule.Pass, task string) []map[string]any {
	var r object.Reader
	var found []map[string]any
	holders := []place{{Fields: r.Fields(p.Object, "spec")}}
	if p.Kind.Kind == "PipelineRun" {
		holders = slices.DeleteFunc(taskRunSpecsIn(p), func(own place) bool {
			return r.Text(own.Fields, "pipelineTaskName") != task
		})
	}
	for _, holder := range holders {
		found = append(found, r.FieldsList(holder.Fields, "sidecarSpecs")...)
		found = append(found, r.FieldsList(holder.Fields, "sidecarOverrides")...)
	}
	return found
}
