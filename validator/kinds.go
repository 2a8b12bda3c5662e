package validator

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	triggersGroup = "triggers.tekton.dev"
	tektonGroup   = "tekton.dev"
)

// served names every version of a kind that some Tekton serves.
func served(group, kind string, versions ...string) []schema.GroupVersionKind {
	kinds := make([]schema.GroupVersionKind, 0, len(versions))
	for _, version := range versions {
		kinds = append(kinds, schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	}
	return kinds
}

var (
	eventListeners       = served(triggersGroup, "EventListener", "v1beta1", "v1alpha1")
	triggers             = served(triggersGroup, "Trigger", "v1beta1", "v1alpha1")
	triggerTemplates     = served(triggersGroup, "TriggerTemplate", "v1beta1", "v1alpha1")
	namespacedBindings   = served(triggersGroup, "TriggerBinding", "v1beta1", "v1alpha1")
	clusterBindings      = served(triggersGroup, "ClusterTriggerBinding", "v1beta1", "v1alpha1")
	clusterInterceptors  = served(triggersGroup, "ClusterInterceptor", "v1beta1", "v1alpha1")
	namespaceInterceptor = served(triggersGroup, "Interceptor", "v1beta1", "v1alpha1")

	taskRuns     = served(tektonGroup, "TaskRun", "v1", "v1beta1", "v1alpha1")
	pipelineRuns = served(tektonGroup, "PipelineRun", "v1", "v1beta1", "v1alpha1")
	tasks        = served(tektonGroup, "Task", "v1", "v1beta1", "v1alpha1")
	clusterTasks = served(tektonGroup, "ClusterTask", "v1beta1", "v1alpha1")
	pipelines    = served(tektonGroup, "Pipeline", "v1", "v1beta1", "v1alpha1")
	stepActions  = served(tektonGroup, "StepAction", "v1beta1", "v1alpha1")
	customRuns   = served(tektonGroup, "CustomRun", "v1beta1")
	// gone are kinds that only old releases serve.
	gone = slices.Concat(
		served(tektonGroup, "PipelineResource", "v1alpha1"),
		served(tektonGroup, "Condition", "v1alpha1"),
		served(tektonGroup, "Run", "v1alpha1"),
		clusterTasks,
	)

	// withTriggers are the kinds in which triggers stand, see triggersIn.
	withTriggers = slices.Concat(eventListeners, triggers)
	bindings     = slices.Concat(namespacedBindings, clusterBindings)
	// withTemplates are those that say what an event creates, see templatedIn.
	withTemplates  = slices.Concat(triggerTemplates, withTriggers)
	anyInterceptor = slices.Concat(clusterInterceptors, namespaceInterceptor)
	runs           = slices.Concat(taskRuns, pipelineRuns)
	// withSteps are all kinds that write steps out, see object.Tasks.
	withSteps = slices.Concat(tasks, clusterTasks, taskRuns, pipelines, pipelineRuns, stepActions)
	// withTasks are those in which a pipeline's tasks stand.
	withTasks = slices.Concat(pipelines, pipelineRuns)
	// everything is all of it.
	everything = slices.Concat(eventListeners, triggers, triggerTemplates, bindings, clusterInterceptors,
		namespaceInterceptor, withSteps, customRuns)
)
