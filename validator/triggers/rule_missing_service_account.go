package triggers

import (
	"context"
	"strconv"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
)

var missingServiceAccountRule = &rule.Rule{
	ID:       "missing-service-account",
	Severity: rule.Error,
	Others:   true,
	Discreet: true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds ServiceAccounts that an EventListener or Trigger names and that do not exist in its
namespace.

Without that of an EventListener its Pod is never created, and no event is ever
answered; without that of a trigger Tekton answers 202 and may create nothing.`,
	Check: checkMissingServiceAccount,
}

func checkMissingServiceAccount(ctx context.Context, p *rule.Pass) {
	if p.Namespace == "" {
		return
	}
	for _, account := range triggerAccounts(p) {
		if account.Name == "" || expression.Any(account.Name) {
			continue
		}
		found, err := p.Cluster.Get(ctx, serviceAccounts, p.Namespace, account.Name)
		switch {
		case err != nil:
			p.Unknown(account.Path, "looking for ServiceAccount "+strconv.Quote(account.Name), err)
		case found == nil:
			existing := p.Similar(ctx, serviceAccounts, p.Namespace)
			remedy := suggest.DidYouMean(account.Name, existing, "create it first, or correct the name")
			p.Report(account.Path,
				"ServiceAccount %q does not exist in namespace %q, so nothing can be created for %s: %s",
				account.Name, p.Namespace, account.Unit, remedy)
		}
	}
}
