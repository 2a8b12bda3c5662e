package sources

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var existingClaimRule = &rule.Rule{
	ID:       "existing-claim",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.PipelineRuns,
	Doc: `Finds PipelineRuns that bind a workspace to a PersistentVolumeClaim that is there already: an
earlier run, or anybody with access to the volume, may have left something that this one
takes for its own. A volumeClaimTemplate makes a new one for each run.`,
	Check: checkExistingClaim,
}

func checkExistingClaim(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for i, workspace := range r.FieldsList(r.Fields(p.Object, "spec"), "workspaces") {
		if claim := r.Fields(workspace, "persistentVolumeClaim"); claim != nil {
			p.Report(fmt.Sprintf("spec.workspaces[%d].persistentVolumeClaim", i),
				"the workspace is bound to PersistentVolumeClaim %.63q, in which others may have left something: use a volumeClaimTemplate",
				r.Text(claim, "claimName"))
		}
	}
}
