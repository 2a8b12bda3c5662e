package rule

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The API groups of Tekton Triggers and Tekton Pipelines.
const (
	TriggersGroup = "triggers.tekton.dev"
	TektonGroup   = "tekton.dev"
)

const rbacGroup = "rbac.authorization.k8s.io"

// Served names every version of a kind that some Tekton serves.
func Served(group, kind string, versions ...string) []schema.GroupVersionKind {
	kinds := make([]schema.GroupVersionKind, 0, len(versions))
	for _, version := range versions {
		kinds = append(kinds, schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	}
	return kinds
}

// The kinds that rules are for, each with every version.
var (
	EventListeners       = Served(TriggersGroup, "EventListener", "v1beta1", "v1alpha1")
	Triggers             = Served(TriggersGroup, "Trigger", "v1beta1", "v1alpha1")
	TriggerTemplates     = Served(TriggersGroup, "TriggerTemplate", "v1beta1", "v1alpha1")
	NamespacedBindings   = Served(TriggersGroup, "TriggerBinding", "v1beta1", "v1alpha1")
	ClusterBindings      = Served(TriggersGroup, "ClusterTriggerBinding", "v1beta1", "v1alpha1")
	clusterInterceptors  = Served(TriggersGroup, "ClusterInterceptor", "v1beta1", "v1alpha1")
	namespaceInterceptor = Served(TriggersGroup, "Interceptor", "v1beta1", "v1alpha1")

	TaskRuns     = Served(TektonGroup, "TaskRun", "v1", "v1beta1", "v1alpha1")
	PipelineRuns = Served(TektonGroup, "PipelineRun", "v1", "v1beta1", "v1alpha1")
	Tasks        = Served(TektonGroup, "Task", "v1", "v1beta1", "v1alpha1")
	ClusterTasks = Served(TektonGroup, "ClusterTask", "v1beta1", "v1alpha1")
	Pipelines    = Served(TektonGroup, "Pipeline", "v1", "v1beta1", "v1alpha1")
	StepActions  = Served(TektonGroup, "StepAction", "v1beta1", "v1alpha1")
	CustomRuns   = Served(TektonGroup, "CustomRun", "v1beta1")
	// Gone are kinds that only old releases serve.
	Gone = slices.Concat(
		Served(TektonGroup, "PipelineResource", "v1alpha1"),
		Served(TektonGroup, "Condition", "v1alpha1"),
		Served(TektonGroup, "Run", "v1alpha1"),
		ClusterTasks,
	)

	// WithTriggers are the kinds in which triggers stand, see package walk.
	WithTriggers = slices.Concat(EventListeners, Triggers)
	Bindings     = slices.Concat(NamespacedBindings, ClusterBindings)
	// WithTemplates are those that say what an event creates.
	WithTemplates  = slices.Concat(TriggerTemplates, WithTriggers)
	AnyInterceptor = slices.Concat(clusterInterceptors, namespaceInterceptor)
	Runs           = slices.Concat(TaskRuns, PipelineRuns)
	// WithSteps are all kinds that write steps out, see object.Tasks.
	WithSteps = slices.Concat(Tasks, ClusterTasks, TaskRuns, Pipelines, PipelineRuns, StepActions)
	// WithTasks are those in which a pipeline's tasks stand.
	WithTasks = slices.Concat(Pipelines, PipelineRuns)
	// Roles are the kinds of Kubernetes' RBAC that say what may be done.
	Roles = slices.Concat(Served(rbacGroup, "Role", "v1"), Served(rbacGroup, "ClusterRole", "v1"))
	// ServiceAccounts name Secrets.
	ServiceAccounts = Served("", "ServiceAccount", "v1")
	// Everything is all kinds that are judged.
	Everything = slices.Concat(EventListeners, Triggers, TriggerTemplates, Bindings, clusterInterceptors,
		namespaceInterceptor, WithSteps, CustomRuns)
)
