package sources

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

var bundleRepositoryRule = &rule.Rule{
	ID:       "bundle-repository",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds bundles that come from none of policy.trust.bundleRepositories. An entry stands for the
repository and all below it: registry.example.com/tasks does not stand for
registry.example.com/tasks-of-others.`,
	Check: checkBundleRepository,
}

func checkBundleRepository(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[TrustPolicy](p).BundleRepositories
	eachBundle(p, func(bundle image.Reference, path string) {
		below := func(entry string) bool {
			return strings.HasPrefix(bundle.Repository()+"/", strings.TrimSuffix(entry, "/")+"/")
		}
		if len(allowed) > 0 && !slices.ContainsFunc(allowed, below) {
			p.Report(path,
				"the bundle comes from %.120s, which is not trusted in this cluster: use one from %.120v",
				bundle.Repository(), allowed)
		}
	})
}
