// Package policy writes the mutator's rules as MutatingAdmissionPolicies, which the
// API server evaluates by itself: no Pod of ours is asked, and none can be down.
//
// Each rule becomes one policy, with one binding. What CEL cannot say is left out
// as a whole rule (Set.Remainder), or left alone object by object or step by step
// (Set.Limits); so the policies do what the webhook does, or nothing, and a webhook
// beside them does the rest. Decisions:
//
//   - JSON patches, not apply configurations: steps are a list, and Tekton's schemas
//     do not say by which key to merge it. Each rule computes the list of operations
//     as a variable, and all operations are additions.
//   - The order in which the API server evaluates policies is not defined. So each
//     looks through what another may have done: at the images that authors wrote,
//     through wellknown.OriginalImagesKey, and at the ServiceAccount that a run is about to
//     be given. Where that is not possible, a rule is part of the remainder.
//   - ServiceAccounts are parameters: the one of the configuration by its name, so
//     that its policy is not evaluated where a namespace lacks it, and nothing has to
//     be assumed of accounts; for the rules that have to know what the run's
//     ServiceAccount lists, all of the namespace, and the policy is for the steps of
//     the one that fits.
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
	ops       string // a list of operations, see add
	steps     bool   // whether it edits steps
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
		c.serviceAccount, c.dockerConfig, c.kaniko, c.env, c.resources, c.imagePullSecrets, c.podTemplate,
		c.imageMirror,
	} {
		if err := compile(); err != nil {
			return nil, err
		}
	}
	if len(c.set.Policies) > 0 {
		c.set.Limits = append(c.set.Limits, general...)
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

// add makes the policy and its binding.
func (c *compiler) add(r *rule) {
	name := "tekgate-" + r.id
	labels := map[string]string{"app.kubernetes.io/part-of": "tekgate"}
	ignore, equivalent, namespaced := admissionv1.Ignore, admissionv1.Equivalent, admissionv1.NamespacedScope
	p := admissionv1.MutatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			FailurePolicy: &ignore, ReinvocationPolicy: admissionv1.IfNeededReinvocationPolicy,
			MatchConstraints: &admissionv1.MatchResources{
				MatchPolicy: &equivalent, NamespaceSelector: c.Namespaces, ObjectSelector: &metav1.LabelSelector{},
				ResourceRules: []admissionv1.NamedRuleWithOperations{
					{RuleWithOperations: admissionv1.RuleWithOperations{
						Operations: []admissionv1.OperationType{admissionv1.Create},
						Rule: admissionv1.Rule{
							APIGroups: []string{"tekton.dev"}, APIVersions: []string{"v1", "v1beta1", "v1alpha1"},
							Resources: []string{"taskruns", "pipelineruns"}, Scope: &namespaced,
						},
					}}},
			},
			MatchConditions: c.conditions(r),
			Variables:       c.variables(r),
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch,
				JSONPatch: &admissionv1.JSONPatch{
					Expression: "(" + c.ownSettings() +
						" || size(variables.ops) == 0 ? [] : variables.annotated + variables.ops + variables.done)\n.map(o, JSONPatch{op: \"add\", path: o.path, value: o.value})",
				}}},
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

// conditions keep a policy from being evaluated in vain. The API server gives them
// neither the variables nor the Namespace.
func (c *compiler) conditions(r *rule) []admissionv1.MatchCondition {
	const disabled = `!("` + wellknown.MutateKey + `" in variables.notes && variables.notes["` + wellknown.MutateKey +
		`"] == "` + wellknown.Disabled + `")`
	written := `!("` + wellknown.OriginalImagesKey + `" in variables.notes) || variables.notes["` +
		wellknown.OriginalImagesKey + `"].matches(` + quote(originalsForm) + ")"
	conditions := []admissionv1.MatchCondition{
		{Name: "not-opted-out", Expression: all(disabled, not(skips(r.id)))},
		{Name: "in-scope", Expression: r.scope.object},
	}
	if r.steps {
		conditions = append(conditions, admissionv1.MatchCondition{Name: "originals-are-read", Expression: written},
			admissionv1.MatchCondition{Name: "has-steps",
				Expression: "has(object.spec.taskSpec) || has(object.spec.pipelineSpec)"})
	}
	if r.parameter != nil && r.parameter.Selector != nil {
		conditions = append(conditions, admissionv1.MatchCondition{Name: "names-the-account",
			Expression: c.namesAccount()})
	}
	inline := strings.NewReplacer("variables.notes", field("object.metadata", "annotations", "{}"), "variables.labels",
		field("object.metadata", "labels", "{}"))
	for i := range conditions {
		conditions[i].Expression = inline.Replace(conditions[i].Expression)
	}
	return slices.DeleteFunc(conditions, func(m admissionv1.MatchCondition) bool { return m.Expression == "true" })
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
	v := runVariables()
	if r.steps || r.parameter != nil {
		v = append(v, c.account())
	}
	if r.steps {
		v = slices.Concat(v, taskVariables(), stepVariables())
	}
	v = append(v, r.variables...)
	v = append(v, admissionv1.Variable{Name: "ops", Expression: c.opsOf(r)})
	return append(v, c.done(r.id)...)
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

// done are the operations that write the record, see record.Mutated.
func (c *compiler) done(id string) []admissionv1.Variable {
	var ids []string
	for _, r := range mutator.Rules {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	const before = `("` + wellknown.MutatedKey + `" in variables.notes ? variables.notes["` + wellknown.MutatedKey +
		`"] : "")`
	key := "/metadata/annotations/" + strings.ReplaceAll(wellknown.MutatedKey, "/", "~1")
	text := fmt.Sprintf(
		`"{\"rules\":[\"" + %s.filter(r, r == %s || %s.contains("\"" + r + "\"")).join("\",\"") + "\"],\"config\":\"%s\"}"`,
		quotes(ids), quote(id), before, c.hash)
	return []admissionv1.Variable{
		{Name: "annotated", Expression: "has(object.metadata.annotations) ? [] : [" +
			add(`"/metadata/annotations"`, "{}") + "]"},
		{Name: "done", Expression: "[" + add(quote(key), text) + "]"},
	}
}
