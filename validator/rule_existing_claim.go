package validator

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
)

var existingClaimRule = &Rule{
	ID:       "existing-claim",
	Severity: Error,
	OptIn:    true,
	Kinds:    pipelineRuns,
	Doc: `Finds PipelineRuns that bind a workspace to a PersistentVolumeClaim that is there already: an
earlier run, or anybody with access to the volume, may have left something that this one
takes for its own. A volumeClaimTemplate makes a new one for each run.`,
	Check: checkExistingClaim,
}

func checkExistingClaim(_ context.Context, p *Pass) {
	var r object.Reader
	for i, workspace := range r.FieldsList(r.Fields(p.Object, "spec"), "workspaces") {
		if claim := r.Fields(workspace, "persistentVolumeClaim"); claim != nil {
			p.Report(fmt.Sprintf("spec.workspaces[%d].persistentVolumeClaim", i),
				"the workspace is bound to PersistentVolumeClaim %.63q, in which others may have left something: use a volumeClaimTemplate", r.Text(claim, "claimName"))
		}
	}
}
