package validator

import (
	"cmp"
	"context"
)

var resolverNotAllowedRule = &Rule{
	ID:       "resolver-not-allowed",
	Severity: Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds resolvers that policy.trust.resolvers does not name or policy.trust.bannedResolvers
does. The field bundle of v1beta1 counts as the resolver bundles.`,
	Check: checkResolverNotAllowed,
}

func checkResolverNotAllowed(_ context.Context, p *Pass) {
	allowed, banned := policyOf[TrustPolicy](p).Resolvers, policyOf[TrustPolicy](p).BannedResolvers
	for _, s := range sourcesIn(p) {
		resolver, path := s.Resolver, s.Path+".resolver"
		if s.Bundle != "" {
			resolver, path = cmp.Or(resolver, "bundles"), s.Path+".bundle"
		}
		if resolver == "" || !certain(resolver) {
			continue
		}
		switch {
		case matchesAny(banned, resolver):
			p.Report(path, "the resolver %.40q is not to be used in this cluster: use another one", resolver)
		case len(allowed) > 0 && !matchesAny(allowed, resolver):
			p.Report(path, "the resolver %.40q is not among those that this cluster allows: use one of %.120v", resolver, allowed)
		}
	}
}
