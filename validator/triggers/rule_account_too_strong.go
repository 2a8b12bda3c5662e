package triggers

import (
	"context"
	"strconv"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var accountTooStrongRule = &rule.Rule{
	ID:       "account-too-strong",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds ServiceAccounts of EventListeners and triggers that may do anything in the cluster,
as with ClusterRole cluster-admin, or read the Secrets of all namespaces.

An EventListener takes what strangers send, and its templates are filled with their words:
one slip in one template is the whole cluster's then.`,
	Check: checkAccountTooStrong,
}

func checkAccountTooStrong(ctx context.Context, p *rule.Pass) {
	if p.Namespace == "" {
		return
	}
	for _, account := range triggerAccounts(p) {
		if account.Name == "" || expression.Any(account.Name) {
			continue
		}
		who := rule.Account{Namespace: p.Namespace, Name: account.Name}
		admin, err := p.Cluster.May(ctx, who, rule.Access{Verb: "*", Group: "*", Resource: "*"})
		if err != nil {
			p.Unknown(account.Path, "asking what ServiceAccount "+strconv.Quote(account.Name)+" may do", err)
			continue
		}
		if admin {
			p.Report(account.Path,
				"ServiceAccount %q may do anything in the cluster, and takes what strangers send: bind it to a role in its own namespace in place of that",
				account.Name)
			continue
		}
		secrets, err := p.Cluster.May(ctx, who, rule.Access{Verb: "list", Resource: "secrets"})
		if err == nil && secrets {
			p.Report(account.Path,
				"ServiceAccount %q may read the Secrets of all namespaces, and takes what strangers send: bind it to a role in its own namespace that may not",
				account.Name)
		}
	}
}
