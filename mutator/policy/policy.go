// Package policy writes the mutator's rules as MutatingAdmissionPolicies, which the
// API server evaluates by itself: no Pod of ours is asked, and none can be down.
//
// Each rule becomes one policy, with one binding. What CEL cannot say is left out
// as a whole rule (Set.Remainder), or left alone object by object or step by step
// (Set.Limits); so the policies do what the webhook does, or nothing, and a webhook
// beside them does the rest. Decisions:
//
//   - JSON patches, not apply configurations: steps are a list, and Tekton's schemas
//     do not say by which key to merge it, so an apply configuration replaces the whole
//     list. Each rule computes the list of operations as a variable. A policy has one
//     mutation, because the API server keeps the first of two if the second one fails.
//   - The order in which the API server evaluates policies is not defined. So each
//     looks through what another may have done: at the images that authors wrote,
//     through wellknown.OriginalImagesKey, and at the ServiceAccount that a run is about to
//     be given. Where that is not possible, a rule is part of the remainder.
//   - The API server evaluates a policy again after others have changed the object, and
//     once for each binding and parameter. So every expression checks what is there before
//     it adds something. The tests apply each export twice, under other names.
//   - Every version that some Tekton serves is listed by name. For a policy that lists v1
//     alone, the API server converts v1beta1 objects to v1 and back, even if the policy
//     changes nothing, and what v1 cannot express is lost.
//   - What a resolver fetches has policies of its own (rule.resolved). They are limited to
//     the dry runs in which Tekton's controller creates it, so that nothing stored ever
//     changes. As in the webhook, annotations of a fetched object do not opt out. Tekton
//     ignores the metadata of the result: policies write no record there, but use
//     annotations to see what others have changed.
//   - ServiceAccounts are parameters: the one of the configuration by its name, so
//     that its policy is not evaluated where a namespace lacks it, and nothing has to
//     be assumed of accounts; for the rules that have to know what the run's
//     ServiceAccount lists, all of the namespace, and the policy is for the steps of
//     the one that fits. In a dry run, where no run is known, one ServiceAccount with a
//     workload identity takes back what the others have added: see resolvedDockerConfig.
//   - failurePolicy is Ignore, as the webhook's is. An object that is not of Tekton's
//     shape fails to be evaluated, and passes as it is.
//   - Conditions keep out what is cheap to tell; they are not given variables.
//   - The record is written as the mutator writes it, with the hash of the
//     configuration that the policies were made of.
//
// Of the same parts the match conditions of the webhook itself are made, which say less:
// not what is to be done but what certainly is not, see Conditions.
package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// Input is what policies are made of.
type Input struct {
	Config mutator.Config
	Mirror *image.Rules // of the file; nil for none
	// Tekton is how the cluster's Tekton is set up. It becomes part of the policies.
	Tekton mutator.Tekton
	// Namespaces are those in which they hold, as of the webhook.
	Namespaces *metav1.LabelSelector
	// Controller is the user name of Tekton's controller, see mutator.Mutator. Empty means
	// that of a Tekton in the namespace tekton-pipelines.
	Controller string
}

// Set are policies and what they do not do.
type Set struct {
	Policies []admissionv1.MutatingAdmissionPolicy
	Bindings []admissionv1.MutatingAdmissionPolicyBinding
	// Remainder are parts of the configuration that no policy was made of.
	Remainder []Limit
	// Limits are what the policies leave to the webhook.
	Limits []Limit
}

// Limit is something that policies do not do.
type Limit struct {
	ID     string `json:"id"`
	Rule   string `json:"rule,omitempty"` // "" means all
	Reason string `json:"reason"`         // one sentence
}

// compiler collects the set.
type compiler struct {
	Input
	known mutator.Known
	hash  string
	set   Set
}

// rule is a rule on the way to a policy.
type rule struct {
	id        string
	scope     scope
	parameter *admissionv1.ParamRef // to ServiceAccounts; nil for none
	variables []admissionv1.Variable
	ops       string // a list of operations, see add and remove
	steps     bool   // whether it edits steps
	// resolved is true of a policy for what Tekton's controller creates in its dry runs,
	// and false of one for runs.
	resolved bool
}

// Compile returns the policies of a configuration. The error is that of
// mutator.New.
func Compile(in Input) (*Set, error) {
	m, err := mutator.New(in.Config, in.Mirror, nil)
	if err != nil {
		return nil, err
	}
	c := &compiler{Input: in, known: m.Known(), hash: m.Hash()}
	for _, compile := range []func() error{
		c.serviceAccount, c.localTasks, c.dockerConfig, c.kaniko, c.env, c.caBundle, c.resources, c.imagePullSecrets,
		c.podTemplate, c.imageMirror,
	} {
		if err := compile(); err != nil {
			return nil, err
		}
	}
	if len(c.set.Policies) > 0 {
		c.set.Limits = append(c.set.Limits, c.general()...)
	}
	return &c.set, nil
}

func (c *compiler) leaveOut(rule, id, format string, args ...any) {
	c.set.Remainder = append(c.set.Remainder, Limit{ID: id, Rule: rule, Reason: fmt.Sprintf(format, args...)})
}

func (c *compiler) limit(rule, id, reason string) {
	c.set.Limits = append(c.set.Limits, Limit{ID: id, Rule: rule, Reason: reason})
}

// begin returns a rule with its scope, and reports false where it is to be left out.
func (c *compiler) begin(id string, s mutator.Scope) (*rule, bool) {
	scope, ok := inScope(s)
	if !ok {
		c.leaveOut(id, "patterns",
			"its scope has a pattern of namespaces with [ or \\, which is not translated: write it with * alone")
	}
	return &rule{id: id, scope: scope}, ok
}

// controller is the user whose dry runs policies are for.
func (c *compiler) controller() string {
	return cmp.Or(c.Controller, mutator.ControllerOf(wellknown.PipelinesNamespace))
}

// addBoth makes the policies of a rule that needs to know nothing about a run: the one for
// runs and the one for dry runs.
func (c *compiler) addBoth(r *rule) {
	c.add(r)
	fetched := *r
	fetched.resolved = true
	c.add(&fetched)
}

// add makes the policy and its binding.
func (c *compiler) add(r *rule) {
	name := "tekgate-" + r.id
	if r.resolved {
		name = "tekgate-resolved-" + r.id
	}
	labels := map[string]string{"app.kubernetes.io/part-of": "tekgate"}
	ignore := admissionv1.Ignore
	p := admissionv1.MutatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			FailurePolicy: &ignore, ReinvocationPolicy: admissionv1.IfNeededReinvocationPolicy,
			MatchConstraints: c.matches(r),
			MatchConditions:  c.conditions(r),
			Variables:        c.variables(r),
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch,
				JSONPatch: &admissionv1.JSONPatch{Expression: c.patch(r)}}},
		},
	}
	b := admissionv1.MutatingAdmissionPolicyBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1",
			Kind: "MutatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name, ParamRef: r.parameter},
	}
	if r.parameter != nil {
		p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "v1", Kind: "ServiceAccount"}
	}
	c.set.Policies, c.set.Bindings = append(c.set.Policies, p), append(c.set.Bindings, b)
}

// matches returns the creations that a policy is for.
func (c *compiler) matches(r *rule) *admissionv1.MatchResources {
	equivalent, namespaced := admissionv1.Equivalent, admissionv1.NamespacedScope
	return &admissionv1.MatchResources{
		MatchPolicy: &equivalent, NamespaceSelector: c.Namespaces, ObjectSelector: &metav1.LabelSelector{},
		ResourceRules: []admissionv1.NamedRuleWithOperations{
			{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule: admissionv1.Rule{
					APIGroups: []string{"tekton.dev"}, APIVersions: []string{"v1", "v1beta1", "v1alpha1"},
					Resources: r.resources(), Scope: &namespaced,
				},
			}}},
	}
}

// resources returns runs, or what runs refer to, as far as the mutator's rule is for them.
func (r *rule) resources() []string {
	names := []string{"taskruns", "pipelineruns"}
	if r.resolved {
		names = []string{"tasks", "pipelines", "stepactions"}
	}
	i := slices.IndexFunc(mutator.Rules, func(m mutator.Rule) bool { return m.ID == r.id })
	return slices.DeleteFunc(names, func(name string) bool {
		return !slices.ContainsFunc(mutator.Rules[i].Kinds,
			func(kind schema.GroupVersionKind) bool { return strings.ToLower(kind.Kind)+"s" == name })
	})
}

// patch makes JSON patches of the operations.
func (c *compiler) patch(r *rule) string {
	written := "variables.annotated + variables.ops"
	if !r.resolved {
		written += " + variables.done"
	}
	return "(" + c.ownSettings() + " || size(variables.ops) == 0 ? [] : " + written + `)
.map(o, "value" in o ? JSONPatch{op: "add", path: o.path, value: o.value} : JSONPatch{op: "remove", path: o.path})`
}

// ownSettings says that the Namespace has settings of its own. Conditions are not
// given the Namespace, mutations are.
const ownSettings = `has(namespaceObject.metadata.annotations) && "` + wellknown.MutatorKey +
	`" in namespaceObject.metadata.annotations` +
	` && namespaceObject.metadata.annotations["` + wellknown.MutatorKey + `"] != ""`

// ownSettings is false of all namespaces where they cannot have any.
func (c *compiler) ownSettings() string {
	if c.Config.Overlays.Disabled {
		return "false"
	}
	return ownSettings
}

// conditions keep a policy from being evaluated in vain, and one for dry runs from
// changing anything that is stored. The API server gives them neither the variables nor
// the Namespace.
func (c *compiler) conditions(r *rule) []admissionv1.MatchCondition {
	conditions := c.runConditions(r)
	if r.resolved {
		conditions = []admissionv1.MatchCondition{
			{Name: "controller-dry-run", Expression: "request.dryRun == true && request.userInfo.username == " +
				quote(c.controller())},
			{Name: "in-scope", Expression: r.scope.object},
		}
	}
	if r.steps {
		written := `!("` + wellknown.OriginalImagesKey + `" in variables.notes) || variables.notes["` +
			wellknown.OriginalImagesKey + `"].matches(` + quote(originalsForm) + ")"
		conditions = append(conditions, admissionv1.MatchCondition{Name: "originals-are-read", Expression: written})
	}
	inline := strings.NewReplacer("variables.notes", field("object.metadata", "annotations", "{}"), "variables.labels",
		field("object.metadata", "labels", "{}"))
	for i := range conditions {
		conditions[i].Expression = inline.Replace(conditions[i].Expression)
	}
	return slices.DeleteFunc(conditions, func(m admissionv1.MatchCondition) bool { return m.Expression == "true" })
}

// runConditions are those of policies for runs alone.
func (c *compiler) runConditions(r *rule) []admissionv1.MatchCondition {
	const disabled = `!("` + wellknown.MutateKey + `" in variables.notes && variables.notes["` + wellknown.MutateKey +
		`"] == "` + wellknown.Disabled + `")`
	conditions := []admissionv1.MatchCondition{
		{Name: "not-opted-out", Expression: all(disabled, not(skips(r.id)))},
		{Name: "in-scope", Expression: r.scope.object},
	}
	if r.steps {
		conditions = append(conditions, admissionv1.MatchCondition{Name: "has-steps",
			Expression: "has(object.spec.taskSpec) || has(object.spec.pipelineSpec)"})
	}
	if r.parameter != nil && r.parameter.Selector != nil {
		conditions = append(conditions, admissionv1.MatchCondition{Name: "names-the-account",
			Expression: c.namesAccount()})
	}
	return conditions
}

// namesAccount writes that the ServiceAccount of the evaluation may be that of the
// run or of one of its tasks.
func (c *compiler) namesAccount() string {
	named := func(of, name string) string { return text(of, name) + " == params.metadata.name" }
	fallback := []string{c.fallback()}
	if c.Config.ServiceAccount.Name != "" {
		fallback = append(fallback, c.Config.ServiceAccount.Name)
	}
	return some("params.metadata.name in "+quotes(fallback), named("object.spec", "serviceAccountName"),
		"(has(object.spec.taskRunTemplate) && object.spec.taskRunTemplate != null && "+
			named("object.spec.taskRunTemplate", "serviceAccountName")+")",
		list("object.spec", "taskRunSpecs")+".exists(o, "+named("o", "serviceAccountName")+" || "+
			named("o", "taskServiceAccountName")+")")
}

func (c *compiler) variables(r *rule) []admissionv1.Variable {
	v := objectVariables()
	switch {
	case r.resolved:
		v = append(v, resolvedTasks())
	case r.steps:
		v = slices.Concat(v, runVariables(), []admissionv1.Variable{c.account()}, taskVariables())
	case r.parameter != nil:
		v = slices.Concat(v, runVariables(), []admissionv1.Variable{c.account()})
	default:
		v = append(v, runVariables()...)
	}
	if r.steps {
		v = append(v, stepVariables()...)
	}
	v = append(v, r.variables...)
	v = append(v, admissionv1.Variable{Name: "ops", Expression: c.opsOf(r)},
		admissionv1.Variable{Name: "annotated", Expression: "has(object.metadata.annotations) ? [] : [" +
			add(`"/metadata/annotations"`, "{}") + "]"})
	if !r.resolved {
		v = append(v, c.done(r.id))
	}
	return v
}

// fallback is the ServiceAccount that Tekton gives to a run that names none.
func (c *compiler) fallback() string { return cmp.Or(c.Tekton.DefaultServiceAccount, "default") }

// account is the ServiceAccount that the run names or will be given, see
// mutator.Run.ServiceAccount.
func (c *compiler) account() admissionv1.Variable {
	expression := `variables.given != "" ? variables.given : ` + quote(c.fallback())
	if scope, on := c.accountScope(); on {
		expression = fmt.Sprintf("%s ? %s : (%s)", all(c.accountMissing(), scope.object, not(skips("service-account"))),
			quote(c.Config.ServiceAccount.Name), expression)
	}
	return admissionv1.Variable{Name: "account", Expression: expression}
}

// done is the operation that writes the record, see record.Mutated.
func (c *compiler) done(id string) admissionv1.Variable {
	var ids []string
	for _, r := range mutator.Rules {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	const before = `("` + wellknown.MutatedKey + `" in variables.notes ? variables.notes["` + wellknown.MutatedKey +
		`"] : "")`
	text := fmt.Sprintf(
		`"{\"rules\":[\"" + %s.filter(r, r == %s || %s.contains("\"" + r + "\"")).join("\",\"") + "\"],\"config\":\"%s\"}"`,
		quotes(ids), quote(id), before, c.hash)
	return admissionv1.Variable{Name: "done", Expression: "[" + annotate(wellknown.MutatedKey, text) + "]"}
}
