package pipelines

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var severalClaimsRule = &rule.Rule{
	ID:       "several-claims",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.Runs,
	Doc: `Finds runs in which one task gets two PersistentVolumeClaims by its workspaces. With the affinity assistant,
which is on by default (coschedule: workspaces), such a TaskRun fails with "more than one
PersistentVolumeClaim is bound" (pkg/reconciler/taskrun/taskrun.go).

It is an error where the ConfigMap feature-flags beside the run leaves coschedule at workspaces, and nothing
where that says pipelineruns, isolate-pipelinerun or disabled. Two workspaces of the same claim, each with
its subPath, pass. Claims whose names are only known at run time pass, too.`,
	Check: checkSeveralClaims,
}

func checkSeveralClaims(ctx context.Context, p *rule.Pass) {
	if p.OfPipelineRun() {
		return
	}
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	claims := claimsOf(spec)
	if len(claims) < 2 {
		return
	}
	severity, applies := affinityAssistant(ctx, p)
	if !applies {
		return
	}
	if p.Kind.Kind == "TaskRun" {
		reportClaims(p, "spec.workspaces", "this TaskRun", severity, claims, namesOf(spec, "workspaces").all())
		return
	}
	for _, call := range resolvedCalls(ctx, p) {
		if call.Kind != "Pipeline" || call.Path != "spec" {
			continue
		}
		path := "spec.pipelineRef"
		if call.Name == "" {
			path = "spec.pipelineSpec"
		}
		pipeline := specification{Path: path, Kind: "Pipeline", Fields: call.Target}
		for _, task := range pipeline.tasks() {
			if task.Custom {
				continue
			}
			at := task.Path + ".workspaces"
			if call.Name != "" {
				at = path
			}
			reportClaims(p, at, task.unit(), severity, claims, workspacesInto(task))
		}
	}
}

// claimsOf returns the claims of a run's workspaces, by the workspace.
func claimsOf(spec map[string]any) map[string]string {
	var r object.Reader
	claims := map[string]string{}
	for _, workspace := range itemsIn(spec, "", "workspaces") {
		claim := r.Text(r.Fields(workspace.Fields, "persistentVolumeClaim"), "claimName")
		switch {
		case workspace.Fields["volumeClaimTemplate"] != nil:
			claims[workspace.Name] = "a new claim for " + workspace.Name
		case claim != "" && !expression.Any(claim):
			claims[workspace.Name] = fmt.Sprintf("claim %q", claim)
		}
	}
	return claims
}

// workspacesInto returns the workspaces of the run that a pipeline's task gets: those that it binds, and those
// that propagate, since its taskSpec uses them.
func workspacesInto(task pipelineTask) []string {
	var r object.Reader
	found := &names{}
	own := namesOf(task.Fields, "workspaces")
	for _, binding := range itemsIn(task.Fields, "", "workspaces") {
		found.add(cmp.Or(r.Text(binding.Fields, "workspace"), binding.Name))
	}
	for _, use := range usagesIn(r.Fields(task.Fields, "taskSpec"), "", true, nil, "workspaces") {
		if name := use.Parts[1]; !own.has(name) && !found.has(name) {
			found.add(name)
		}
	}
	return found.all()
}

func reportClaims(p *rule.Pass, path, unit string, severity rule.Severity, claims map[string]string, bound []string) {
	var distinct names
	for _, name := range bound {
		if claim := claims[name]; claim != "" && !distinct.has(claim) {
			distinct.add(claim)
		}
	}
	if len(distinct.all()) < 2 {
		return
	}
	finding := p.Report(path,
		"%s gets several volumes (%s), with which the affinity assistant lets it fail: use one claim with a subPath for each workspace, or set coschedule to pipelineruns or disabled in the ConfigMap feature-flags",
		unit, strings.Join(distinct.all(), ", "))
	finding.Severity = severity
}

// affinityAssistant reports whether a task with several claims fails, and how certain that is.
func affinityAssistant(ctx context.Context, p *rule.Pass) (severity rule.Severity, applies bool) {
	if !p.Offline {
		return rule.Warning, true
	}
	var r object.Reader
	flags, err := p.Cluster.Get(ctx, schema.GroupKind{Kind: "ConfigMap"}, "tekton-pipelines", "feature-flags")
	if err != nil || flags == nil {
		return rule.Warning, true
	}
	data := r.Fields(flags, "data")
	switch coschedule := r.Text(data, "coschedule"); {
	case r.Text(data, "disable-affinity-assistant") == "true", coschedule != "" && coschedule != "workspaces":
		return "", false
	}
	return rule.Error, true
}
