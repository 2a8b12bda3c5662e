package triggers

import (
	"context"
	"errors"
	"strconv"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
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
one slip in one template is the whole cluster's then.

ClusterRole tekton-triggers-eventlistener-clusterroles, which Triggers brings, reads all Secrets too, though
no EventListener of Triggers v0.37.0 needs that. A binding to it is found where the role is among the files or
in a cluster that is asked, and passed over where it is not.`,
	Check: checkAccountTooStrong,
}

var runAccountTooStrongRule = &rule.Rule{
	ID:       "run-account-too-strong",
	Severity: rule.Warning,
	Files:    true,
	Kinds:    rule.Runs,
	Doc: `Finds ServiceAccounts of runs that may do anything in the cluster, or read the Secrets of all namespaces, by the
Roles, ClusterRoles and bindings in the files, as account-too-strong does for EventListeners. Each step of a
run has the account's token, whatever image it runs.

Nothing is said about an account that no binding in the files binds, about roles that are in no file (but for
cluster-admin and Triggers' own), and about default where the run names no namespace.`,
	Check: checkRunAccountTooStrong,
}

func checkAccountTooStrong(ctx context.Context, p *rule.Pass) {
	tooStrong(ctx, p, triggerAccounts(p), "takes what strangers send")
}

func checkRunAccountTooStrong(ctx context.Context, p *rule.Pass) {
	var accounts []accountPlace
	for _, account := range object.AccountsOf(p.Object) {
		accounts = append(accounts, accountPlace{Path: account.Path, Name: account.Name})
	}
	tooStrong(ctx, p, accounts, "lends that to each step of the run")
}

// tooStrong reports accounts with rights in the whole cluster, and why that is dangerous.
func tooStrong(ctx context.Context, p *rule.Pass, accounts []accountPlace, effect string) {
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
