package containers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
)

var runInTektonNamespaceRule = &rule.Rule{
	ID:       "run-in-tekton-namespace",
	Severity: rule.Warning,
	Kinds:    rule.Runs,
	Doc: `Finds runs in a namespace of the control plane: tekton-pipelines,
tekton-pipelines-resolvers, tekton-operator, openshift-pipelines, kube-system.

A run there may name the ServiceAccount of Tekton's controller, which may create Pods
and read Secrets in every namespace; and it is in the way of an upgrade that deletes
the namespace.`,
	Check: checkRunInTektonNamespace,
}

var tektonNamespaces = []string{
	"tekton-pipelines", "tekton-pipelines-resolvers", "tekton-operator", "openshift-pipelines", "openshift-operators",
	"kube-system",
}

func checkRunInTektonNamespace(_ context.Context, p *rule.Pass) {
	if slices.Contains(tektonNamespaces, p.Namespace) {
		p.Report("metadata.namespace",
			"this run is in namespace %q, whose ServiceAccounts control the whole cluster: give runs a namespace of their own",
			p.Namespace)
	}
}
