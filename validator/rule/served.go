package rule

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/suggest"
)

// ServedKinds are all kinds of Tekton Pipelines v1.15.1 and Triggers v0.37.0, with the versions that their
// CRDs serve; of each kind the version to write comes first.
var ServedKinds = slices.Concat(
	Served(TektonGroup, "Task", "v1", "v1beta1"),
	Served(TektonGroup, "TaskRun", "v1", "v1beta1"),
	Served(TektonGroup, "Pipeline", "v1", "v1beta1"),
	Served(TektonGroup, "PipelineRun", "v1", "v1beta1"),
	Served(TektonGroup, "StepAction", "v1beta1", "v1alpha1"),
	Served(TektonGroup, "CustomRun", "v1beta1"),
	Served(TektonGroup, "VerificationPolicy", "v1alpha1"),
	Served(TriggersGroup, "EventListener", "v1beta1", "v1alpha1"),
	Served(TriggersGroup, "Trigger", "v1beta1", "v1alpha1"),
	Served(TriggersGroup, "TriggerTemplate", "v1beta1", "v1alpha1"),
	Served(TriggersGroup, "TriggerBinding", "v1beta1", "v1alpha1"),
	Served(TriggersGroup, "ClusterTriggerBinding", "v1beta1", "v1alpha1"),
	Served(TriggersGroup, "ClusterInterceptor", "v1alpha1"),
	Served(TriggersGroup, "Interceptor", "v1alpha1"),
)

// IsUnserved reports whether something is meant as an object of Tekton Pipelines or Triggers, and no
// CRD of theirs serves it: its kind, version or group is misspelt, or of another release. Kinds and
// versions that old releases served are left to rules of their own.
func IsUnserved(kind schema.GroupVersionKind) bool {
	switch {
	case slices.Contains(ServedKinds, kind) || slices.Contains(Gone, kind) || strings.HasSuffix(kind.Kind, "List"):
		return false
	case kind.Group == TektonGroup && kind.Version == "v1alpha1" && slices.Contains(WithSteps, kind):
		return false
	case kind.Group == TektonGroup || kind.Group == TriggersGroup:
		return true
	}
	return slices.ContainsFunc(ServedKinds, func(served schema.GroupVersionKind) bool {
		return served.Kind == kind.Kind
	}) && meansTekton(kind)
}

// meansTekton reports whether a group that is none of Tekton's is meant as one. The core has none of
// Tekton's kinds, and neither has a version without a group.
func meansTekton(kind schema.GroupVersionKind) bool {
	if kind.Group == "" {
		return true
	}
	group := strings.ToLower(kind.Group)
	return strings.Contains(group, "tekton") && len(group) <= len(TriggersGroup)+2 &&
		suggest.Closest(group, []string{TektonGroup, TriggersGroup}) != "" && !slices.Contains(neighbors, group)
}

// neighbors are groups of other projects of Tekton's.
var neighbors = []string{"operator.tekton.dev", "resolution.tekton.dev", "results.tekton.dev", "dashboard.tekton.dev",
	"chains.tekton.dev", "pipelinesascode.tekton.dev", "custom.tekton.dev", "cel.tekton.dev"}
