package sources

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var clusterResolverNamespaceRule = &rule.Rule{
	ID:       "cluster-resolver-namespace",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds references by the cluster resolver to namespaces that policy.trust.clusterNamespaces
does not name; the run's own namespace passes. The resolver reads any namespace that
cluster-resolver-config does not block, whatever the author of the run may read.`,
	Check: checkClusterResolverNamespace,
}

func checkClusterResolverNamespace(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[TrustPolicy](p).ClusterNamespaces
	for _, s := range sourcesIn(p) {
		namespace, path := s.given("namespace")
		if s.Resolver != "cluster" || namespace == "" || !certain(namespace) || len(allowed) == 0 {
			continue
		}
		if namespace != p.Namespace && !rule.MatchesAny(allowed, namespace) {
			p.Report(path,
				"namespace %.63q is not among those that a %s may be taken from: use one of %.120v",
				namespace, s.Kind, allowed)
		}
	}
}
