package sources

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var resolverHostRule = &rule.Rule{
	ID:       "resolver-host",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds addresses of the git and http resolvers whose host policy.trust.resolverHosts does not
name: url and serverURL. A server of a stranger's may send anything, up to more than the
resolver has memory for (CVE-2026-40924, GHSA-m2cx-gpqf-qf74; fixed in v1.11.1).`,
	Check: checkResolverHost,
}

func checkResolverHost(_ context.Context, p *rule.Pass) {
	hosts := rule.PolicyOf[TrustPolicy](p).ResolverHosts
	for _, s := range sourcesIn(p) {
		for _, a := range s.addresses() {
			if _, host, ok := a.parts(); ok && len(hosts) > 0 && !rule.MatchesAny(hosts, host) {
				p.Report(a.Path,
					"the host %.80q is not among those that this cluster fetches a %s from: use one of %.120v",
					host, s.Kind, hosts)
			}
		}
	}
}
