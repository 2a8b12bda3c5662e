package containers

import (
	"cmp"
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var serviceAccountTokenRule = &rule.Rule{
	ID:       "service-account-token",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.Runs,
	AtUse:    true,
	Doc: `Finds runs into whose steps the ServiceAccount's token is mounted: their podTemplate
does not set automountServiceAccountToken to false, or one in taskRunSpecs sets it to
true.

With the token every step, and all that it downloads, may do what the ServiceAccount
may. Most builds never ask the API server for anything. Credentials for registries and
Git that Tekton mounts do not need it.

Runs of ServiceAccounts in validator.policy.security.accounts.withToken pass (* stands
for any characters). Tekton's default-pod-template is not known here.`,
	Check: checkServiceAccountToken,
}

func checkServiceAccountToken(_ context.Context, p *rule.Pass) {
	const remedy = "has the ServiceAccount's token, with which it may do all that the account may: set automountServiceAccountToken to false, or list the account in validator.policy.security.accounts.withToken"
	settings, ok := object.SettingsOf(p.Object)
	var r object.Reader
	account := cmp.Or(r.Text(settings.Fields, "serviceAccountName"), "default")
	if !ok || rule.MatchesAny(rule.PolicyOf[SecurityPolicy](p).Accounts.WithToken, account) {
		return
	}
	if own := r.Fields(settings.Fields, "podTemplate"); own["automountServiceAccountToken"] != false {
		p.Report(settings.Path+".podTemplate", "every step of this run %s", remedy)
	}
	for _, template := range podTemplatesIn(p) {
		if template.Path != settings.Path+".podTemplate" && r.Flag(template.Fields, "automountServiceAccountToken") {
			p.Report(template.Path+".automountServiceAccountToken", "this task %s", remedy)
		}
	}
}
