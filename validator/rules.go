package validator

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rules are all rules: those of the groups, one after the other, and the rule about
// exceptions from them.
var Rules = withExceptionRule(slices.Concat(
	referenceRules,
	expressionRules,
	triggerRules,
	graphRules,
	imageRules,
	trustRules,
	securityRules,
	patchRules,
))

// Matches reports whether any rule is for this kind.
func Matches(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(Rules, func(r *Rule) bool { return r.Handles(kind) })
}

// identifiers returns the ids of rules.
func identifiers(rules []*Rule) []string {
	ids := make([]string, 0, len(rules))
	for _, r := range rules {
		ids = append(ids, r.ID)
	}
	return ids
}
