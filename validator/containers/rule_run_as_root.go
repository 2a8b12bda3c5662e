package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var runAsRootRule = &rule.Rule{
	ID:       "run-as-root",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds steps and sidecars that may run as root: runAsNonRoot is not true, or runAsUser
is 0, in their own securityContext, the stepTemplate's and the run's podTemplate.

A Task or Pipeline is judged by what stands in it, since nobody knows its runs.
Kaniko has to be root in its container; except it with a reason.`,
	Check: checkRunAsRoot,
}

func checkRunAsRoot(_ context.Context, p *rule.Pass) {
	for _, c := range finalContainers(p) {
		if user, is := rule.Number(c.security("runAsUser", true)); is && user == 0 {
			p.Report(c.Path+".securityContext", "%s runs as root, since runAsUser is 0: give it another number", c.Unit)
			continue
		}
		if c.security("runAsNonRoot", true) != true {
			p.Report(c.Path+".securityContext",
				"%s runs as root if its image says nothing else: set runAsNonRoot to true, here, in the stepTemplate or in the podTemplate",
				c.Unit)
		}
	}
}
