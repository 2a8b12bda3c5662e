package mutator

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rule is one thing that Tekgate does to objects.
type Rule struct {
	ID    string                    // as in messages, annotations and testdata
	Doc   string                    // Markdown for RULES.md: what it does, why, and what it leaves alone
	Kinds []schema.GroupVersionKind // every served version by name, see versions

	// scope returns the rule's part of the configuration: whether it is on, and
	// what it is limited to.
	scope func(*settings) *scope

	// apply edits the pass's object, once it is sure of all that it has to know,
	// and tells what it did and why it did not. It must do nothing to an object
	// that it has edited before, and nothing to JSON that is not of the shape
	// that Tekton takes.
	apply func(ctx context.Context, p *pass)
}

// Rules are all rules, in the order in which they are applied: the
// ServiceAccount decides about credentials; builders are recognised by the images that
// the author wrote, before a mirror renames them; variables that the configuration lists
// count more than those of a CA; and whether a run fetches its Task
// depends on what its podTemplate carries by then.
var Rules = []Rule{
	serviceAccountRule,
	dockerConfigRule,
	kanikoRule,
	envRule,
	caBundleRule,
	resourcesRule,
	imagePullSecretsRule,
	podTemplateRule,
	localTasksRule,
	imageMirrorRule,
}

// ruleByID returns a rule that there is.
func (m *Mutator) ruleByID(id string) *Rule {
	return &m.rules[slices.IndexFunc(m.rules, func(r Rule) bool { return r.ID == id })]
}

// Handles tells whether the rule is for a kind.
func (r Rule) Handles(kind schema.GroupVersionKind) bool { return slices.Contains(r.Kinds, kind) }

// Matches tells whether any rule is for this kind, so that callers need not
// decode objects in vain.
func Matches(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(Rules, func(r Rule) bool { return r.Handles(kind) })
}

// versions names every version of a kind that some Tekton serves. A rule for v1
// alone would also be given v1beta1 objects, converted there and back, and lose
// what v1 cannot say: taskRef.bundle vanishes, and a local Task of that name runs
// instead.
func versions(kind string, names ...string) []schema.GroupVersionKind {
	kinds := make([]schema.GroupVersionKind, 0, len(names))
	for _, name := range names {
		kinds = append(kinds, schema.GroupVersionKind{Group: "tekton.dev", Version: name, Kind: kind})
	}
	return kinds
}

var (
	taskRuns     = versions("TaskRun", "v1", "v1beta1", "v1alpha1")
	pipelineRuns = versions("PipelineRun", "v1", "v1beta1", "v1alpha1")
	tasks        = versions("Task", "v1", "v1beta1", "v1alpha1")
	pipelines    = versions("Pipeline", "v1", "v1beta1", "v1alpha1")
	stepActions  = versions("StepAction", "v1beta1", "v1alpha1")
	pods         = []schema.GroupVersionKind{{Version: "v1", Kind: "Pod"}}

	// runs are what people create to run something.
	runs = slices.Concat(taskRuns, pipelineRuns)
	// stored are the kinds that runs refer to. The server is given them in the
	// controller's dry runs alone, see Request.Resolved.
	stored = slices.Concat(tasks, pipelines, stepActions)
	// withSteps are all kinds that write steps out and that are not yet Pods.
	withSteps = slices.Concat(runs, stored)
)
