package containers

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var privilegedRule = &rule.Rule{
	ID:       "privileged",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds steps, sidecars, stepTemplates and StepActions that run privileged.

Whatever runs in such a container has the node: its devices, its other Pods and their
Secrets. Builds of what strangers have pushed are the usual case (Tekton's threat
model, docs/security/threat-model.md).`,
	Check: checkPrivileged,
}

func checkPrivileged(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, c := range containersIn(p) {
		if r.Flag(r.Fields(c.Fields, "securityContext"), "privileged") {
			p.Report(c.Path+".securityContext.privileged",
				"%s runs privileged, so whatever it executes has the node and all Pods on it: build with Kaniko or rootless BuildKit, or add the one capability that is needed",
				c.Unit)
		}
	}
}
