package validator

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var missingDefinitionRule = &Rule{
	ID:       "missing-definition",
	Severity: Error,
	Others:   true,
	Kinds:    withSteps,
	Doc: `Finds a taskRef, a pipelineRef or a step's ref by name to a Task, Pipeline or StepAction
that does not exist in the namespace.

Tekton accepts it and looks only when the run starts, which then fails with
CouldntGetTask or CouldntGetPipeline (pkg/reconciler/pipelinerun/pipelinerun.go).

What a resolver or a bundle brings is not looked for, nor are custom tasks, names with
a $(…) in them, and the TaskRuns that a PipelineRun has created.`,
	Check: checkMissingDefinition,
}

func checkMissingDefinition(ctx context.Context, p *Pass) {
	for _, call := range graphCallsIn(p) {
		if call.Name == "" {
			continue
		}
		kind := schema.GroupKind{Group: tektonGroup, Kind: call.Kind}
		found, err := p.Cluster.Get(ctx, kind, p.Namespace, call.Name)
		switch {
		case err != nil:
			p.Unknown(call.Ref, "looking for "+call.Kind+" "+strconv.Quote(call.Name), err)
		case found == nil:
			existing, _ := p.Cluster.Names(ctx, kind, p.Namespace) // for a suggestion alone
			p.Report(call.Ref, "%s %q does not exist in namespace %q, so the run of %s would fail: %s",
				call.Kind, call.Name, p.Namespace, call.Unit, suggest(call.Name, existing, "create it first"))
		}
	}
}
