package sources

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var runParamNotAllowedRule = &rule.Rule{
	ID:       "run-param-not-allowed",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.PipelineRuns,
	Doc: `Finds params of a PipelineRun that policy.trust.runParams does not name. What a pipeline's
author has fixed, such as where a build is published, its runs shall not change.`,
	Check: checkRunParamNotAllowed,
}

func checkRunParamNotAllowed(_ context.Context, p *rule.Pass) {
	var r object.Reader
	allowed := rule.PolicyOf[TrustPolicy](p).RunParams
	if len(allowed) == 0 {
		return
	}
	for _, given := range rule.ParamsIn(r.Fields(p.Object, "spec"), "spec") {
		if given.Name != "" && certain(given.Name) && !rule.MatchesAny(allowed, given.Name) {
			p.Report(given.Path+".name",
				"param %.63q is not among those that a PipelineRun may give in this cluster: remove it; allowed are %.120v",
				given.Name, allowed)
		}
	}
}
