package pipelines

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var missingDefinitionRule = &rule.Rule{
	ID:       "missing-definition",
	Severity: rule.Error,
	Others:   true,
	Discreet: true,
	Kinds:    rule.WithSteps,
	Doc: `Finds a taskRef, a pipelineRef or a step's ref by name to a Task, Pipeline or StepAction
that does not exist in the namespace.

Tekton accepts it and looks only when the run starts, which then fails with
CouldntGetTask or CouldntGetPipeline (pkg/reconciler/pipelinerun/pipelinerun.go).

What a resolver or a bundle brings is not looked for, nor are custom tasks, names with
a $(…) in them, and the TaskRuns that a PipelineRun has created. A PipelineRun of
Pipelines-as-Code whose annotations bring Tasks or a Pipeline is passed over, and so is
what the same TriggerTemplate creates.`,
	Check: checkMissingDefinition,
}

func checkMissingDefinition(ctx context.Context, p *rule.Pass) {
	if bringsItsOwn(p) {
		return
	}
	for _, call := range callsIn(p) {
		if call.Name == "" || call.Source != "" || createdBeside(p, call) {
			continue
		}
		kind := schema.GroupKind{Group: rule.TektonGroup, Kind: call.Kind}
		found, err := p.Cluster.Get(ctx, kind, p.Namespace, call.Name)
		switch {
		case err != nil:
			p.Unknown(call.Ref, "looking for "+call.Kind+" "+strconv.Quote(call.Name), err)
		case found == nil:
			var remedy string
			if own := p.Renamed(kind, p.Namespace, call.Name); own != "" {
				remedy = p.DidYouMean(own)
			} else {
				existing := func() []string { return p.Similar(ctx, kind, p.Namespace) }
				remedy = remedyFor(p, call.Name, existing, "create it first")
			}
			p.Report(call.Ref, "%s %q does not exist%s, so the run of %s would fail: %s",
				call.Kind, call.Name, inNamespace(p), call.Unit, remedy)
		}
	}
}

func inNamespace(p *rule.Pass) string {
	if p.Namespace == "" {
		return ""
	}
	return fmt.Sprintf(" in namespace %q", p.Namespace)
}

// bringsItsOwn tells whether Pipelines-as-Code puts Tasks into the object before it
// creates it.
func bringsItsOwn(p *rule.Pass) bool {
	var r object.Reader
	for key := range r.Fields(r.Fields(p.Object, "metadata"), "annotations") {
		if strings.HasPrefix(key, "pipelinesascode.tekton.dev/task") ||
			strings.HasPrefix(key, "pipelinesascode.tekton.dev/pipeline") {
			return true
		}
	}
	return false
}

// createdBeside tells whether the same TriggerTemplate creates what is called.
func createdBeside(p *rule.Pass, call callSite) bool {
	if p.Template == nil {
		return false
	}
	return rule.OncePerTemplate(p, "created beside", func() map[[2]string]bool {
		var r object.Reader
		created := map[[2]string]bool{}
		for _, other := range r.FieldsList(r.Fields(p.Template, "spec"), "resourcetemplates") {
			created[[2]string{r.Text(other, "kind"), r.Text(r.Fields(other, "metadata"), "name")}] = true
		}
		return created
	})[[2]string{call.Kind, call.Name}]
}
