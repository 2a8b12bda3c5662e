package validator

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator/containers"
	"github.com/tekgate/tekgate/validator/expressions"
	"github.com/tekgate/tekgate/validator/pipelines"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/sources"
	"github.com/tekgate/tekgate/validator/triggers"
)

// Rules are all rules: those of the groups, one after the other, and the rule about
// exceptions from them.
var Rules = withExceptionRule(slices.Concat(
	triggers.ReferenceRules,
	expressions.Rules,
	triggers.Rules,
	pipelines.Rules,
	containers.ImageRules,
	sources.TrustRules,
	containers.SecurityRules,
	sources.PatchRules,
))

// Matches reports whether any rule is for this kind. Rules that are Files judge others too, beside them.
func Matches(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(Rules, func(r *rule.Rule) bool { return !r.Files && r.Handles(kind) })
}

// identifiers returns the ids of rules.
func identifiers(rules []*rule.Rule) []string {
	ids := make([]string, 0, len(rules))
	for _, r := range rules {
		ids = append(ids, r.ID)
	}
	return ids
}
