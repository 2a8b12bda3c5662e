package triggers

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var accountTooStrongRule = &rule.Rule{
	ID:       "account-too-strong",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    slices.Concat(rule.WithTriggers, rule.Runs),
	Doc: `Finds ServiceAccounts of EventListeners and triggers that may do anything in the cluster,
as with ClusterRole cluster-admin, or read the Secrets of all namespaces. In files it judges those of
runs too, since each step of a run has the account's token.

An EventListener takes what strangers send, and its templates are filled with their words:
one slip in one template is the whole cluster's then.

ClusterRole tekton-triggers-eventlistener-clusterroles, which Triggers brings, reads all Secrets too, though
no EventListener of Triggers v0.37.0 needs that: it is found with --live, and in files if these hold the role.`,
	Check: checkAccountTooStrong,
}

func checkAccountTooStrong(ctx context.Context, p *rule.Pass) {
	accounts, effect := triggerAccounts(p), "takes what strangers send"
	if p.Kind.Group == rule.TektonGroup {
		if p.Files == nil || p.OfPipelineRun() {
			return // runs are created by the thousand
		}
		accounts, effect = runAccounts(p), "lends that to each step of the run"
	}
	for _, account := range accounts {
		if account.Name == "" || expression.Any(account.Name) ||
			account.Name == "default" && p.Namespace == "" { // of each namespace
			continue
		}
		who := rule.Account{Namespace: accountNamespace(p), Name: account.Name}
		admin, err := p.Cluster.May(ctx, who, rule.Access{Verb: "*", Group: "*", Resource: "*"})
		if err != nil && !errors.Is(err, rule.ErrUnknown) {
			p.Unknown(account.Path, "asking what ServiceAccount "+strconv.Quote(account.Name)+" may do", err)
			continue
		}
		if admin {
			p.Report(account.Path,
				"ServiceAccount %q may do anything in the cluster, and %s: bind it to a role in its own namespace in place of that",
				account.Name, effect)
			continue
		}
		if readsSecrets(ctx, p, who) {
			p.Report(account.Path,
				"ServiceAccount %q may read the Secrets of all namespaces, and %s: bind it to a role in its own namespace that may not",
				account.Name, effect)
		}
	}
}

// readsSecrets reports whether an account certainly reads Secrets in the whole cluster.
func readsSecrets(ctx context.Context, p *rule.Pass, who rule.Account) bool {
	for _, verb := range []string{"list", "get"} {
		if may, err := p.Cluster.May(ctx, who, rule.Access{Verb: verb, Resource: "secrets"}); may && err == nil {
			return true
		}
	}
	return false
}

// runAccounts returns the ServiceAccounts that a run names.
func runAccounts(p *rule.Pass) []accountPlace {
	var found []accountPlace
	for _, account := range object.AccountsOf(p.Object) {
		found = append(found, accountPlace{Path: account.Path, Name: account.Name})
	}
	return found
}
