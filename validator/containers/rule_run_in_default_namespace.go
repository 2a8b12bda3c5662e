package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var runInDefaultNamespaceRule = &rule.Rule{
	ID:       "run-in-default-namespace",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.Runs,
	Doc: `Finds runs in the namespace default, where things end up that name no namespace, and
where quotas, policies and Secrets are nobody's.`,
	Check: checkRunInDefaultNamespace,
}

func checkRunInDefaultNamespace(_ context.Context, p *rule.Pass) {
	if p.Namespace == "default" {
		p.Report("metadata.namespace",
			"this run is in namespace \"default\": give it the namespace of its team or project")
	}
}
