package containers

import (
	"cmp"
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var serviceAccountForbiddenRule = &rule.Rule{
	ID:       "service-account-forbidden",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.Runs,
	AtUse:    true,
	Doc: `Finds runs whose ServiceAccount is not in validator.policy.security.accounts.allowed
(* stands for any characters): the run's own, and those in taskRunSpecs.

Who may create a run may use every ServiceAccount of the namespace, whatever it may
do: Kubernetes asks nobody (Tekton's threat model). A run that names none counts as
default. An empty list allows all.`,
	Check: checkServiceAccountForbidden,
}

func checkServiceAccountForbidden(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[SecurityPolicy](p).Accounts.Allowed
	if len(allowed) == 0 {
		return
	}
	for _, account := range accountsIn(p) {
		name := cmp.Or(account.Value, "default")
		p.Cannot(account.Path, name)
		if !expression.Any(name) && !rule.MatchesAny(allowed, name) {
			p.Report(account.Path,
				"ServiceAccount %q is not in validator.policy.security.accounts.allowed: name one of those, or have the list extended",
				name)
		}
	}
}
