package triggers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var listenerDefaultAccountRule = &rule.Rule{
	ID:       "listener-default-account",
	Severity: rule.Warning,
	Kinds:    rule.EventListeners,
	Doc: `Finds EventListeners that name no ServiceAccount, or name default.

They run as the one of config-defaults-triggers, which is default where nobody has changed
it. It may neither read Triggers nor create runs, so every event fails; and if it is
allowed to, all Pods of the namespace are.`,
	Check: checkListenerDefaultAccount,
}

func checkListenerDefaultAccount(_ context.Context, p *rule.Pass) {
	if listenerIsCustom(p) {
		return
	}
	account := listenerAccount(p)
	if account.Name == "" || account.Name == "default" {
		p.Report(account.Path,
			"this EventListener runs as the default ServiceAccount, which may create nothing, or lets all Pods of the namespace do so: name one bound to tekton-triggers-eventlistener-roles")
	}
}
