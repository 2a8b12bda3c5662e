package validator

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
)

var runParamNotAllowedRule = &Rule{
	ID:       "run-param-not-allowed",
	Severity: Error,
	OptIn:    true,
	Kinds:    pipelineRuns,
	Doc: `Finds params of a PipelineRun that policy.trust.runParams does not name. What a pipeline's
author has fixed, such as where a build is published, its runs shall not change.`,
	Check: checkRunParamNotAllowed,
}

func checkRunParamNotAllowed(_ context.Context, p *Pass) {
	var r object.Reader
	allowed := policyOf[TrustPolicy](p).RunParams
	if len(allowed) == 0 {
		return
	}
	for _, given := range paramsIn(r.Fields(p.Object, "spec"), "spec") {
		if given.Name != "" && certain(given.Name) && !matchesAny(allowed, given.Name) {
			p.Report(given.Path+".name", "param %.63q is not among those that a PipelineRun may give in this cluster: remove it; allowed are %.120v", given.Name, allowed)
		}
	}
}
