package validator

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
)

var requiredResultRule = &Rule{
	ID:       "required-result",
	Severity: Error,
	OptIn:    true,
	Kinds:    withTasks,
	Doc: `Finds pipelines without one of policy.trust.requiredResults. Chains signs what results such
as IMAGE_URL and IMAGE_DIGEST name, and nothing without them.`,
	Check: checkRequiredResult,
}

func checkRequiredResult(_ context.Context, p *Pass) {
	var r object.Reader
	spec, at := pipelineIn(p)
	if spec == nil {
		return
	}
	results := r.FieldsList(spec, "results")
	for _, want := range policyOf[TrustPolicy](p).RequiredResults {
		named := func(result map[string]any) bool { return matchesAny([]string{want}, r.Text(result, "name")) }
		if !slices.ContainsFunc(results, named) {
			p.Report(at+".results", "the pipeline has no result %.63q, which this cluster requires of every pipeline: add it", want)
		}
	}
}
