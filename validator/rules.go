package validator

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/validator/containers"
	"github.com/tekgate/tekgate/validator/expressions"
	"github.com/tekgate/tekgate/validator/pipelines"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/sources"
	"github.com/tekgate/tekgate/validator/triggers"
)

// Rules are all rules: those of the groups, one after the other, and the rule about
// exceptions from them.
var Rules = withExceptionRule(builtIn)

// builtIn are the rules of the groups.
var builtIn = slices.Concat(
	triggers.ReferenceRules,
	expressions.Rules,
	triggers.Rules,
	pipelines.Rules,
	containers.ImageRules,
	sources.TrustRules,
	containers.SecurityRules,
	sources.PatchRules,
)

// reserved are the ids of `tekgate lint`'s own rules.
var reserved = []string{"syntax", "suppression", "duplicate-definition"}

// AllRules returns all rules, those of validator.custom among them: what Validator.Rules has to
// be for them to be asked.
func (c Config) AllRules() ([]*rule.Rule, error) {
	if len(c.Custom) == 0 {
		return Rules, nil
	}
	own := make([]*rule.Rule, 0, len(c.Custom))
	for i, d := range c.Custom {
		compiled, err := d.Compile()
		if err != nil {
			return nil, problems.Prefix(fmt.Sprintf("custom[%d].", i), err)
		}
		own = append(own, compiled)
	}
	return withExceptionRule(slices.Concat(builtIn, own)), nil
}

// described are all rules; those of validator.custom do not judge.
func (c Config) described() []*rule.Rule {
	all := slices.Clone(Rules)
	for _, d := range c.Custom {
		all = append(all, d.Rule())
	}
	return all
}

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
