package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var defaultServiceAccountRule = &rule.Rule{
	ID:       "default-service-account",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.Runs,
	AtUse:    true,
	Doc: `Finds runs with the ServiceAccount default, or with none, which is the same as long as
default-service-account in Tekton's config-defaults says nothing else.

What is granted to default is granted to every Pod of the namespace, and the other way
round every run has it.`,
	Check: checkDefaultServiceAccount,
}

func checkDefaultServiceAccount(_ context.Context, p *rule.Pass) {
	for _, account := range accountsIn(p) {
		if account.Value == "" || account.Value == "default" {
			p.Report(account.Path,
				"this run uses the ServiceAccount \"default\", which it shares with every Pod of its namespace: give it one of its own")
		}
	}
}
