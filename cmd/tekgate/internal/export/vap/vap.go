// Package vap writes rules of the validator as ValidatingAdmissionPolicies, which the API server
// evaluates by itself: no Pod of ours is asked, and none can be down.
//
// A rule is exported if a policy comes to the same verdict about every object that a user creates:
// the rules of local.go, and those of validator.custom that do not use set. All others are named
// with the reason (Set.Remainder). What a policy does otherwise in special cases is a limit of all
// policies (Set.Limits). Decisions:
//
//   - A policy for each rule and mode, with one binding: enforce becomes Deny, warn Warn and audit
//     Audit. Where the mode differs by namespace, a match condition has the namespaces.
//   - A violation is one expression over `object`, without variables. So that an update is not
//     refused for what was wrong before it, the same text is evaluated for the old object, as
//     `[oldObject].all(object, …)`: the loop's variable hides the other.
//   - CEL has no clock. The time of a creation is the object's creationTimestamp, which the API
//     server sets before it evaluates policies.
//   - failurePolicy is Ignore, as the webhook's is.
package vap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/custom"
)

// Input is what policies are made of.
type Input struct {
	Config validator.Config
	// Namespaces are those in which they hold, as of the webhook.
	Namespaces *metav1.LabelSelector
	// Controller is the user name of Tekton's controller.
	Controller string
}

// Set are policies and what they do not do.
type Set struct {
	Policies  []admissionv1.ValidatingAdmissionPolicy
	Bindings  []admissionv1.ValidatingAdmissionPolicyBinding
	Remainder []Limit // rules that no policy was made of
	Limits    []Limit // what the policies leave to the webhook
}

// Limit is something that policies do not do.
type Limit struct {
	ID     string `json:"id"`
	Rule   string `json:"rule,omitempty"` // "" means all
	Reason string `json:"reason"`         // one sentence
}

// local is a rule that is about one object.
type local struct {
	rule              *validator.Rule
	fine              string // CEL, true of an object as it should be
	message           string
	messageExpression string
}

// compiler collects the set.
type compiler struct {
	Input
	set Set
}

// Compile returns the policies of the rules that the configuration has not switched off.
func Compile(in Input) (*Set, error) {
	all, err := in.Config.AllRules()
	if err != nil {
		return nil, err
	}
	c := &compiler{Input: in}
	for _, r := range all {
		if len(c.modes(r)) == 0 {
			continue
		}
		rule, reason := c.local(r)
		if reason == "" {
			reason = c.add(rule)
		}
		if reason != "" {
			c.set.Remainder = append(c.set.Remainder, Limit{ID: "rule", Rule: r.ID, Reason: reason})
		}
	}
	if len(c.set.Policies) > 0 {
		c.set.Limits = limits
	}
	return &c.set, nil
}

// local returns a rule with its expression, or the reason why there is none.
func (c *compiler) local(r *validator.Rule) (rule local, reason string) {
	if i := slices.IndexFunc(c.Config.Custom, func(d custom.Definition) bool { return d.ID == r.ID }); i >= 0 {
		d := c.Config.Custom[i]
		if d.UsesSet() {
			return local{}, "its expression uses set, and a policy cannot look up other objects"
		}
		return local{
			rule:              r,
			fine:              "(" + d.Expression + "\n)",
			message:           d.Message,
			messageExpression: d.MessageExpression,
		}, ""
	}
	found, is := builtIn()[r.ID]
	if r.ID == "service-account-forbidden" {
		var err error
		if found, err = forbiddenAccount(c.Config); err != nil {
			return local{}, err.Error()
		}
		is = true
	}
	if is {
		return local{rule: r, fine: not(found.when), message: found.message}, ""
	}
	switch {
	case r.Online:
		return local{}, "it asks a registry, which neither a policy nor the webhook does"
	case r.Others:
		return local{}, "it looks up other objects, and a policy cannot"
	case r.Since != "" || r.Before != "":
		return local{}, "it depends on the release of Tekton, which a policy does not know"
	}
	return local{}, "it follows values through params, expressions or lists in a way that CEL cannot"
}

// add makes the policies of a rule and their bindings. It returns the reason why it cannot.
func (c *compiler) add(l local) (reason string) {
	excepted := c.excepted(l.rule)
	for _, mode := range c.modes(l.rule) {
		where, err := c.where(l.rule, mode)
		if err != nil {
			return err.Error()
		}
		conditions := append(slices.Clone(c.conditions(l.rule)),
			admissionv1.MatchCondition{Name: "mode", Expression: where},
			admissionv1.MatchCondition{Name: "not-excepted", Expression: not(excepted)})
		conditions = slices.DeleteFunc(conditions, func(m admissionv1.MatchCondition) bool {
			return m.Expression == "true" || m.Expression == not("false")
		})
		c.write(l, mode, conditions)
	}
	return ""
}

// actions are what becomes of a violation.
var actions = map[validator.Mode]admissionv1.ValidationAction{validator.Enforce: admissionv1.Deny,
	validator.Warn: admissionv1.Warn, validator.Audit: admissionv1.Audit}

func (c *compiler) write(l local, mode validator.Mode, conditions []admissionv1.MatchCondition) {
	name := fmt.Sprintf("tekgate-%s-%s", l.rule.ID, mode)
	labels := map[string]string{"app.kubernetes.io/part-of": "tekgate"}
	ignore, equivalent := admissionv1.Ignore, admissionv1.Equivalent
	validation := admissionv1.Validation{
		Expression: l.fine + " ||\n(request.operation == \"UPDATE\" && ![oldObject].all(object, " + l.fine + "))",
		Message:    strings.TrimSuffix(l.message, ".") + " (rule " + l.rule.ID + ")",
	}
	if l.messageExpression != "" {
		validation.MessageExpression = "(" + l.messageExpression + "\n) + " + quote(" (rule "+l.rule.ID+")")
	}
	c.set.Policies = append(c.set.Policies, admissionv1.ValidatingAdmissionPolicy{
		TypeMeta: metav1.TypeMeta{
			APIVersion: "admissionregistration.k8s.io/v1",
			Kind:       "ValidatingAdmissionPolicy",
		},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &ignore,
			MatchConstraints: &admissionv1.MatchResources{MatchPolicy: &equivalent, NamespaceSelector: c.Namespaces,
				ObjectSelector: &metav1.LabelSelector{}, ResourceRules: resources(l.rule)},
			MatchConditions: conditions, Validations: []admissionv1.Validation{validation},
		},
	})
	c.set.Bindings = append(c.set.Bindings, admissionv1.ValidatingAdmissionPolicyBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1",
			Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name,
			ValidationActions: []admissionv1.ValidationAction{actions[mode]}},
	})
}

// resources returns the kinds of a rule, every version by name: with one alone the API server
// would convert all others.
func resources(r *validator.Rule) []admissionv1.NamedRuleWithOperations {
	var rules []admissionv1.NamedRuleWithOperations
	for _, kind := range r.Kinds {
		resource := strings.ToLower(kind.Kind) + "s"
		i := slices.IndexFunc(rules, func(known admissionv1.NamedRuleWithOperations) bool {
			return known.Resources[0] == resource && known.APIGroups[0] == kind.Group
		})
		if i >= 0 {
			rules[i].APIVersions = append(rules[i].APIVersions, kind.Version)
			continue
		}
		scope := admissionv1.AllScopes
		rules = append(
			rules,
			admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
				Rule: admissionv1.Rule{APIGroups: []string{kind.Group}, APIVersions: []string{kind.Version},
					Resources: []string{resource}, Scope: &scope},
			}},
		)
	}
	return rules
}

// modes returns the modes that a rule has in some namespace, but off.
func (c *compiler) modes(r *validator.Rule) []validator.Mode {
	own := c.Config.Rules[r.ID]
	has := func(mode validator.Mode) bool {
		return general(r, own) == mode ||
			slices.ContainsFunc(own.Namespaces, func(n validator.NamespaceMode) bool { return n.Mode == mode })
	}
	return slices.DeleteFunc([]validator.Mode{validator.Enforce, validator.Warn, validator.Audit},
		func(mode validator.Mode) bool { return !has(mode) })
}

// general is the mode of a rule where no entry for namespaces matches.
func general(r *validator.Rule, own validator.RuleConfig) validator.Mode {
	if own.Mode != "" {
		return own.Mode
	}
	return r.DefaultMode()
}

// where writes in which namespaces a rule has a mode: the first entry that matches counts.
func (c *compiler) where(r *validator.Rule, mode validator.Mode) (string, error) {
	own := c.Config.Rules[r.ID]
	expression := fmt.Sprint(general(r, own) == mode)
	for _, n := range slices.Backward(own.Namespaces) {
		on := fmt.Sprint(n.Mode == mode)
		if on == expression {
			continue // what comes later says the same
		}
		pattern, ok := validator.NamesPattern(n.Match)
		if !ok {
			return "", errors.New(
				"its namespaces have a pattern with [ or \\, which is not translated: write it with * alone",
			)
		}
		expression = fmt.Sprintf("(%s.matches(%s) ? %s : %s)", namespaceOf, quote(pattern), on, expression)
	}
	return expression, nil
}

// namespaceOf is "" for objects of the cluster.
const namespaceOf = `(has(request.namespace) ? request.namespace : "")`
