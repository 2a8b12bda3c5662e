package validator

import "context"

var runInDefaultNamespaceRule = &Rule{
	ID:       "run-in-default-namespace",
	Severity: Warning,
	OptIn:    true,
	Kinds:    runs,
	Doc: `Finds runs in the namespace default, where things end up that name no namespace, and
where quotas, policies and Secrets are nobody's.`,
	Check: checkRunInDefaultNamespace,
}

func checkRunInDefaultNamespace(_ context.Context, p *Pass) {
	if p.Namespace == "default" {
		p.Report("metadata.namespace", "this run is in namespace \"default\": give it the namespace of its team or project")
	}
}
