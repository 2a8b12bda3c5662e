package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var timeoutDisabledRule = &rule.Rule{
	ID:       "timeout-disabled",
	Severity: rule.Info,
	Kinds:    rule.Runs,
	Doc: `Finds runs whose timeout is 0, which means none: spec.timeout, or of a PipelineRun
spec.timeouts.pipeline.

A step that hangs then holds its Pod, its claim and its place in the quota until
somebody notices. A run that says nothing has an hour, or what config-defaults says.`,
	Check: checkTimeoutDisabled,
}

func checkTimeoutDisabled(_ context.Context, p *rule.Pass) {
	for _, timeout := range timeoutsIn(p) {
		if timeout.Whole && timeout.Value == 0 {
			p.Report(timeout.Path,
				"a timeout of 0 is none, so a step that hangs keeps its Pod and its claim for ever: write the longest time that the run may take")
		}
	}
}
