package containers

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var seccompProfileRule = &rule.Rule{
	ID:       "seccomp-profile",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds steps and sidecars without a seccomp profile: seccompProfile.type is neither
RuntimeDefault nor Localhost, in their own securityContext, the stepTemplate's and the
run's podTemplate.

Without one all system calls of the kernel are open, as long as the kubelet does not
run with --seccomp-default. Pod Security's level restricted wants it.`,
	Check: checkSeccompProfile,
}

func checkSeccompProfile(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, c := range finalContainers(p) {
		profile, _ := c.security("seccompProfile", true).(map[string]any)
		if kind := r.Text(profile, "type"); kind != "RuntimeDefault" && kind != "Localhost" {
			p.Report(c.Path+".securityContext",
				"%s has no seccomp profile, so all system calls are open to it: set seccompProfile.type to RuntimeDefault, here, in the stepTemplate or in the podTemplate",
				c.Unit)
		}
	}
}
