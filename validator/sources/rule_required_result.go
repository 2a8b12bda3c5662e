package sources

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var requiredResultRule = &rule.Rule{
	ID:       "required-result",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithTasks,
	Doc: `Finds pipelines without one of policy.trust.requiredResults. Chains signs what results such
as IMAGE_URL and IMAGE_DIGEST name, and nothing without them.`,
	Check: checkRequiredResult,
}

func checkRequiredResult(_ context.Context, p *rule.Pass) {
	var r object.Reader
	spec, at := pipelineIn(p)
	if spec == nil {
		return
	}
	results := r.FieldsList(spec, "results")
	for _, want := range rule.PolicyOf[TrustPolicy](p).RequiredResults {
		named := func(result map[string]any) bool { return rule.MatchesAny([]string{want}, r.Text(result, "name")) }
		if !slices.ContainsFunc(results, named) {
			p.Report(at+".results",
				"the pipeline has no result %.63q, which this cluster requires of every pipeline: add it",
				want)
		}
	}
}
