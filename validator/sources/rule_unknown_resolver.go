package sources

import (
	"context"
	"slices"

	"github.com/agext/levenshtein"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/validator/rule"
)

var unknownResolverRule = &rule.Rule{
	ID:       "unknown-resolver",
	Severity: rule.Warning,
	Kinds:    withSources,
	Doc: `Finds names of resolvers that differ from one of Tekton's own (bundles, cluster, git, http, hub) by two
neighbouring letters in the wrong order, or from bundles and cluster by a letter. A run whose resolver nobody serves waits for its time-out, one minute if
nothing else is configured, and fails then. All other names pass: resolvers of one's own have any name,
such as gist or https.`,
	Check: checkUnknownResolver,
}

// ownResolvers are those of Tekton Pipelines v1.15.1.
var ownResolvers = []string{"bundles", "cluster", "git", "http", "hub"}

func checkUnknownResolver(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if s.Resolver == "" || !certain(s.Resolver) || len(validation.IsDNS1123Subdomain(s.Resolver)) > 0 {
			continue // resolver-name finds the last
		}
		if meant := misspelt(s.Resolver); meant != "" {
			p.Report(s.Path+".resolver",
				"Tekton has no resolver %q, and a run waits for one until its time-out: did you mean %q?", s.Resolver, meant)
		}
	}
}

// misspelt returns the resolver of Tekton that a name most likely means, "" for none and for itself.
func misspelt(name string) string {
	if slices.Contains(ownResolvers, name) {
		return ""
	}
	for _, known := range ownResolvers {
		if isSwapped(name, known) || len(known) > len("http") && levenshtein.Distance(name, known, nil) == 1 {
			return known
		}
	}
	return ""
}

// isSwapped reports whether two neighbouring letters of a name are in the wrong order.
func isSwapped(name, known string) bool {
	if len(name) != len(known) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if name[:i-1]+name[i:i+1]+name[i-1:i]+name[i+1:] == known {
			return true
		}
	}
	return false
}
