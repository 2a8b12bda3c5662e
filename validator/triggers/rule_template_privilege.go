package triggers

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var templatePrivilegeRule = &rule.Rule{
	ID:       "template-privilege",
	Severity: rule.Error,
	Kinds:    rule.WithTemplates,
	Doc: `Finds templates that create what holds for the whole cluster: ClusterRoles and
ClusterRoleBindings, admission webhooks and policies, CustomResourceDefinitions,
APIServices and CertificateSigningRequests.

Whoever can send an event has a hand in who may do what in the cluster then, and the
EventListener's ServiceAccount has to have those rights already.`,
	Check: checkTemplatePrivilege,
}

// privilegedGroups are the API groups whose kinds all hold for the whole cluster.
var privilegedGroups = []string{"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io",
	"certificates.k8s.io"}

func checkTemplatePrivilege(_ context.Context, p *rule.Pass) {
	for _, t := range templatedIn(p) {
		if isPrivileged(t) {
			p.Report(t.Path+".kind",
				"an event must not create a %s, which holds for the whole cluster and everybody in it: create it by hand, or from a pipeline that somebody approves",
				t.call())
		}
	}
}

func isPrivileged(t templated) bool {
	kind := t.kind()
	return slices.Contains(privilegedGroups, kind.Group) ||
		(kind.Group == "rbac.authorization.k8s.io" && strings.HasPrefix(kind.Kind, "Cluster"))
}
