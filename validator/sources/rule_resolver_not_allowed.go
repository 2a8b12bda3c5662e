package sources

import (
	"cmp"
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var resolverNotAllowedRule = &rule.Rule{
	ID:       "resolver-not-allowed",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds resolvers that policy.trust.resolvers does not name or policy.trust.bannedResolvers
does. The field bundle of v1beta1 counts as the resolver bundles.`,
	Check: checkResolverNotAllowed,
}

func checkResolverNotAllowed(_ context.Context, p *rule.Pass) {
	allowed, banned := rule.PolicyOf[TrustPolicy](p).Resolvers, rule.PolicyOf[TrustPolicy](p).BannedResolvers
	for _, s := range sourcesIn(p) {
		resolver, path := s.Resolver, s.Path+".resolver"
		if s.Bundle != "" {
			resolver, path = cmp.Or(resolver, "bundles"), s.Path+".bundle"
		}
		if resolver == "" || !certain(resolver) {
			continue
		}
		switch {
		case rule.MatchesAny(banned, resolver):
			p.Report(path, "the resolver %.40q is not to be used in this cluster: use another one", resolver)
		case len(allowed) > 0 && !rule.MatchesAny(allowed, resolver):
			p.Report(path,
				"the resolver %.40q is not among those that this cluster allows: use one of %.120v",
				resolver, allowed)
		}
	}
}
