package containers

import (
	"context"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoDestinationRule = &rule.Rule{
	ID:       "kaniko-destination",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds repositories that Kaniko pushes to, by --destination or --cache-repo, and that none
of validator.policy.security.builds.destinations matches: patterns of host and path,
as in the rule image-registry.

A tag that is not known does not matter; a repository that is not known passes.`,
	Check: checkKanikoDestination,
}

func checkKanikoDestination(_ context.Context, p *rule.Pass) {
	if len(rule.PolicyOf[SecurityPolicy](p).Builds.Destinations) == 0 {
		return
	}
	allowed := compilePatterns(rule.PolicyOf[SecurityPolicy](p).Builds.Destinations)
	for _, step := range executorSteps(p) {
		for _, flag := range step.all("destination", "cache-repo") {
			repository := repositoryOf(flag.Value)
			if repository == "" {
				p.Cannot(flag.Path, flag.Value)
			}
			if ref, err := image.Parse(repository); err == nil && repository != "" && !image.MatchAny(allowed, ref) {
				p.Report(flag.Path,
					"Kaniko would push to %q, which validator.policy.security.builds.destinations does not list: push to an allowed repository, or have the list extended",
					repository)
			}
		}
	}
}
