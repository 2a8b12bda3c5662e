package triggers

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var runDefaultAccountRule = &rule.Rule{
	ID:       "run-default-account",
	Severity: rule.Info,
	Kinds:    rule.Runs,
	Doc: `Finds runs in templates that name no ServiceAccount, or name default.

They get the one of Tekton's config-defaults, mostly the namespace's default, which has
no credentials of its own: what it is given for one run all Pods of the namespace have.
Where mutator.serviceAccount gives all runs without a ServiceAccount one, those are not found.`,
	Check: checkRunDefaultAccount,
}

func checkRunDefaultAccount(_ context.Context, p *rule.Pass) {
	if p.Template == nil {
		return
	}
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	account, path := r.Text(spec, "serviceAccountName"), "spec.serviceAccountName"
	if p.Kind.Kind == "PipelineRun" && p.Kind.Version == "v1" {
		account, path = r.Text(r.Fields(spec, "taskRunTemplate"), "serviceAccountName"),
			"spec.taskRunTemplate.serviceAccountName"
	}
	if account == "" && r.Text(spec, "serviceAccountName") != "" {
		return // which stands where v1beta1 has it: tekton-rejects says so
	}
	if account == "" && p.Account == "" || account == "default" {
		p.Report(path,
			"each event runs this %s as the default ServiceAccount, which all Pods of the namespace share: name one that has what the run needs and no more",
			p.Kind.Kind)
	}
}
