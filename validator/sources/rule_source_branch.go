package sources

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var sourceBranchRule = &rule.Rule{
	ID:       "source-branch",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.PipelineRuns,
	Doc: `Finds PipelineRuns for a branch that policy.trust.branches does not name, and those that do not
say for which branch they are. policy.trust.branchKeys are the annotations or labels that
say it; without them it is pipelinesascode.tekton.dev/branch. What comes before the name
in refs/heads/main does not count.

It holds what the object says: whoever may create PipelineRuns by hand may write any
branch.`,
	Check: checkSourceBranch,
}

const branchOfPipelinesAsCode = "pipelinesascode.tekton.dev/branch"

func checkSourceBranch(_ context.Context, p *rule.Pass) {
	var r object.Reader
	branches, keys := rule.PolicyOf[TrustPolicy](p).Branches, rule.PolicyOf[TrustPolicy](p).BranchKeys
	if len(branches) == 0 {
		return
	}
	if len(keys) == 0 {
		keys = []string{branchOfPipelinesAsCode}
	}
	meta := r.Fields(p.Object, "metadata")
	for _, key := range keys {
		for _, in := range []string{"annotations", "labels"} {
			branch := strings.TrimPrefix(r.Text(r.Fields(meta, in), key), "refs/heads/")
			if branch == "" {
				continue
			}
			if certain(branch) && !rule.MatchesAny(branches, branch) {
				p.Report(rule.Join("metadata."+in, key),
					"the run is for branch %.80q, which is not among those that this cluster builds: use one of %.120v",
					branch, branches)
			}
			return
		}
	}
	p.Report("metadata.annotations",
		"the run does not say for which branch it is, and this cluster builds some alone: add the annotation %.80s",
		keys[0])
}
