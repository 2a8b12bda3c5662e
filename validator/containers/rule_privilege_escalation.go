package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var privilegeEscalationRule = &rule.Rule{
	ID:       "privilege-escalation",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds steps and sidecars that may gain more rights than they were started with:
securityContext.allowPrivilegeEscalation is not false, neither their own nor the
stepTemplate's.

Pod Security's level restricted refuses the Pods of such tasks, which Tekton tells as
PodAdmissionFailed only when they run.`,
	Check: checkPrivilegeEscalation,
}

func checkPrivilegeEscalation(_ context.Context, p *rule.Pass) {
	for _, c := range finalContainers(p) {
		if c.security("allowPrivilegeEscalation", false) != false {
			p.Report(c.Path+".securityContext",
				"%s may gain rights by setuid programs such as sudo: set allowPrivilegeEscalation to false",
				c.Unit)
		}
	}
}
