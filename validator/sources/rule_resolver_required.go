package sources

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var resolverRequiredRule = &rule.Rule{
	ID:       "resolver-required",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds Tasks and Pipelines that do not come from somewhere else: names of objects in the
namespace, and specifications that are written out. Whoever may create objects there may
change them, while a bundle or a repository has a review before it.

policy.trust.allowInline lets specifications pass that are written out. TaskRuns of a
PipelineRun pass: the PipelineRun has been judged.`,
	Check: checkResolverRequired,
}

func checkResolverRequired(_ context.Context, p *rule.Pass) {
	if p.OfPipelineRun() {
		return
	}
	for _, s := range sourcesIn(p) {
		switch {
		case s.Kind == "StepAction" || s.Resolver != "" || s.Bundle != "":
		case s.Inline && !rule.PolicyOf[TrustPolicy](p).AllowInline:
			p.Report(s.Path,
				"the %s is written out here, and this cluster takes those alone that a resolver fetches: put it into a bundle or repository and refer to it",
				s.Kind)
		case s.Name != "":
			p.Report(s.Path,
				"%s %.63q is one of the namespace, and this cluster takes those alone that a resolver fetches: refer to it by resolver",
				s.Kind, s.Name)
		}
	}
}
