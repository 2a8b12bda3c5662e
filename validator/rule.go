package validator

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rule is one thing that Tekgate finds fault with.
type Rule struct {
	ID       string                    // as in messages, the configuration and testdata
	Severity Severity                  // how bad a finding is by itself
	Doc      string                    // Markdown for RULES.md: what it finds, why, and what it lets pass
	Kinds    []schema.GroupVersionKind // every served version by name

	// OptIn rules are off unless the configuration switches them on: they hold
	// objects to a policy that only some houses have.
	OptIn bool
	// Refuses rules enforce though their findings are warnings: the object works,
	// and does what Tekgate is there to keep from happening unnoticed.
	Refuses bool
	// Others says that findings depend on other objects, which may come later.
	// Such rules warn where nothing else is configured.
	Others bool
	// Online rules ask a registry. Admission never does.
	Online bool
	// Since is the release of Tekton Pipelines, such as v0.46.0, from which on findings
	// are true. Where an older one is installed, admission does not ask the rule unless
	// the configuration names it: what it finds works there still. "" is for all.
	Since string

	// Check reports all that it finds. An object whose JSON is not of the expected
	// shape it judges as far as it can: Tekton will say the rest.
	Check func(ctx context.Context, p *Pass)
}

// Handles tells whether the rule is for a kind.
func (r *Rule) Handles(kind schema.GroupVersionKind) bool { return slices.Contains(r.Kinds, kind) }

// Severity says how bad a finding is.
type Severity string

// The severities. An error is something that cannot work as it is meant, or that is
// dangerous; a warning works, and has cost others much; a hint is good to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Mode says what becomes of a rule's findings at admission.
type Mode string

// The modes of a rule.
const (
	Enforce Mode = "enforce" // the object is refused
	Warn    Mode = "warn"    // the object is accepted, and its user is warned
	Audit   Mode = "audit"   // the object is accepted, and an Event and the audit log tell of it
	Off     Mode = "off"     // the rule is not asked
)

// DefaultMode is what holds where nothing is configured.
func (r *Rule) DefaultMode() Mode {
	switch {
	case r.OptIn:
		return Off
	case r.Refuses:
		return Enforce
	case r.Severity == Info:
		return Audit
	case r.Severity == Warning || r.Others:
		return Warn
	}
	return Enforce
}

// Rules are all rules, group by group; each group stands in a file of its own.
var Rules = slices.Concat(
	referenceRules,
	expressionRules,
	triggerRules,
	graphRules,
	imageRules,
	trustRules,
	securityRules,
	patchRules,
	exceptionRules,
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
