package mutator

import "slices"

// Known is what the rules know, of themselves and by the configuration, for whoever
// writes them in another language: package policy.
type Known struct {
	On         []string       // ids of the rules that are switched on, in their order
	Builders   []KnownBuilder // the first that fits counts
	Deciding   []string       // variables and words that decide about credentials
	Identities []string       // annotations of ServiceAccounts that switch the rule off
}

// KnownBuilder is a program that reads DOCKER_CONFIG.
type KnownBuilder struct {
	Commands     []string // a path, or a name in any folder
	Repositories []string // ends of repositories, by whole components
	Patterns     []string // regular expressions of host and path
	OnMirror     []string // host and path; among the patterns, too
	Configs      []string // folders where it looks on its own
}

// Known returns that for the configuration in force.
func (m *Mutator) Known() Known {
	known := Known{On: m.settings.on(), Deciding: slices.Clone(decisions),
		Identities: slices.Clone(m.settings.identities)}
	for _, b := range m.settings.builders {
		builder := KnownBuilder{Commands: b.commands, Repositories: b.repositories, Configs: b.configs,
			OnMirror: b.onMirror}
		for _, pattern := range b.patterns {
			builder.Patterns = append(builder.Patterns, pattern.String())
		}
		known.Builders = append(known.Builders, builder)
	}
	return known
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
