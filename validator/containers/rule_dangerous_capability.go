package containers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var dangerousCapabilityRule = &rule.Rule{
	ID:       "dangerous-capability",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds steps, sidecars, stepTemplates and StepActions that add a capability which Pod
Security's level baseline does not allow: SYS_ADMIN, SYS_PTRACE, NET_ADMIN, ALL and
others. With most of them a process gets out of its container, or at its neighbours.

SETFCAP, SETUID, SETGID, CHOWN and the others that a container runtime gives anyway
pass.`,
	Check: checkDangerousCapability,
}

// baselineCapabilities are the capabilities that Pod Security's level baseline lets a container
// add (Kubernetes, Pod Security Standards).
var baselineCapabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
	"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

func checkDangerousCapability(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, c := range containersIn(p) {
		own := r.Fields(r.Fields(c.Fields, "securityContext"), "capabilities")
		for _, capability := range plainCapabilities(r.TextList(own, "add")) {
			if !slices.Contains(baselineCapabilities, capability) {
				p.Report(c.Path+".securityContext.capabilities.add",
					"%s adds capability %s, by which it can reach beyond its container: remove it, or except this object with a reason",
					c.Unit, capability)
			}
		}
	}
}
