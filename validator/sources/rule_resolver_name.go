package sources

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/validator/rule"
)

var resolverNameRule = &rule.Rule{
	ID:       "resolver-name",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds names of resolvers that stop Tekton's controller or cannot work: one of more than 30
characters makes it panic, and again after each restart, until somebody deletes the run
(CVE-2026-33022, GHSA-cv4x-93xx-wgfj, GO-2026-4730; fixed in v1.0.1, v1.3.3, v1.6.1,
v1.9.2 and v1.10.2); one that is no DNS name cannot stand at the beginning of a
ResolutionRequest's name.

A resolver of one's own with a longer name can be written where the release is fixed: set
the mode of this rule to warn.`,
	Check: checkResolverName,
}

// longestResolver leaves room for a dash and a hash of 32 digits in a name of 63.
const longestResolver = validation.DNS1123LabelMaxLength - 1 - 32

func checkResolverName(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if s.Resolver == "" || !certain(s.Resolver) {
			continue
		}
		switch path := s.Path + ".resolver"; {
		case len(s.Resolver) > longestResolver:
			p.Report(path,
				"the name of the resolver has %d characters, and more than %d stop Tekton's controller for the whole cluster (CVE-2026-33022): name a resolver that there is, such as git or bundles",
				len(s.Resolver), longestResolver)
		case len(validation.IsDNS1123Subdomain(s.Resolver)) > 0:
			p.Report(path,
				"%.40q is no name of a resolver, so that no ResolutionRequest could be created for it: write lower-case letters, digits and dashes",
				s.Resolver)
		}
	}
}
