package mutator

import (
	"slices"

	"github.com/tekgate/tekgate/internal/builder"
)

// Known is what the rules know, of themselves and by the configuration, for whoever
// writes them in another language: package policy.
type Known struct {
	On         []string          // ids of the rules that are switched on, in their order
	Builders   []builder.Builder // the first that fits counts; not to be edited
	Deciding   []string          // variables and words that decide about credentials
	Identities []string          // annotations of ServiceAccounts that switch the rule off
}

// Known returns that for the configuration in force.
func (m *Mutator) Known() Known {
	return Known{On: m.settings.on(), Builders: m.settings.builders, Deciding: slices.Concat(decisions, moves),
		Identities: slices.Clone(m.settings.identities)}
}

// on returns the ids of the rules that are switched on.
func (s *settings) on() []string {
	var ids []string
	for _, rule := range Rules {
		if rule.scope(s).on {
			ids = append(ids, rule.ID)
		}
	}
	return ids
}
