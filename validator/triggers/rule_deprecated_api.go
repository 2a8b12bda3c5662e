package triggers

import (
	"context"
	"maps"
	"slices"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var deprecatedAPIRule = &rule.Rule{
	ID:       "deprecated-api",
	Severity: rule.Warning,
	Since:    "v0.44.0",
	Kinds:    deprecatedKinds,
	Doc: `Finds versions that Tekton still serves and that are to go: v1beta1 of Task, TaskRun,
Pipeline and PipelineRun, deprecated since Pipelines v0.50 (docs/deprecations.md), and
v1alpha1, which v1beta1 has superseded, of StepAction, EventListener, Trigger,
TriggerTemplate, TriggerBinding and ClusterTriggerBinding.

In a TriggerTemplate it shows only when the version is gone, at the first event after the
upgrade, after a 202. A fix is offered where the object is a v1 one but for its version.`,
	Check: checkDeprecatedAPI,
}

// deprecatedKinds are those that a later version stands in for.
var deprecatedKinds = slices.Concat(
	rule.Tasks[1:2], rule.TaskRuns[1:2], rule.Pipelines[1:2], rule.PipelineRuns[1:2], rule.StepActions[1:],
	rule.EventListeners[1:], rule.Triggers[1:], rule.TriggerTemplates[1:], rule.NamespacedBindings[1:],
	rule.ClusterBindings[1:],
)

func checkDeprecatedAPI(_ context.Context, p *rule.Pass) {
	today := "v1beta1"
	if p.Kind.Version == "v1beta1" {
		today = "v1"
	}
	version := p.Kind.Group + "/" + today
	finding := p.Report("apiVersion",
		"%s of %s is superseded, and fails at the next apply or event once Tekton no longer serves it: write %s",
		p.Kind.GroupVersion(), p.Kind.Kind, version)
	inline := slices.ContainsFunc(walk.Interceptors(p), func(in walk.Interceptor) bool {
		return modern(in).Name != in.Name
	})
	if (today == "v1beta1" && !inline) || isV1(p) {
		p.Mend(finding, rule.Edit{Op: "replace", Path: "apiVersion", Value: version})
	}
}

// isV1 tells whether an object of Tekton Pipelines has the form of v1.
func isV1(p *rule.Pass) bool {
	fields := maps.Clone(p.Object)
	delete(fields, "status")
	var into any
	switch p.Kind.Kind {
	case "Task":
		into = &v1.Task{}
	case "TaskRun":
		into = &v1.TaskRun{}
	case "Pipeline":
		into = &v1.Pipeline{}
	case "PipelineRun":
		into = &v1.PipelineRun{}
	default:
		return false
	}
	return decodesAs(triggerJSON(fields), into)
}

// decodesAs tells whether JSON is of a type. Tekton's decoders of params panic on
// what they do not expect.
func decodesAs(raw []byte, into any) (fits bool) {
	defer func() {
		if recover() != nil {
			fits = false
		}
	}()
	return strict.UnmarshalJSON(raw, into) == nil
}
