package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var nodeSocketRule = &rule.Rule{
	ID:       "node-socket",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds volumes that are a socket of the node, above all /var/run/docker.sock and those
of containerd, CRI-O and Podman.

Who can write to it starts containers on the node as root, past every policy of the
cluster. And nodes without Docker have no such socket, so that the step fails there:
Kubernetes removed dockershim in v1.24.`,
	Check: checkNodeSocket,
}

func checkNodeSocket(_ context.Context, p *rule.Pass) {
	for _, volume := range hostPathVolumes(p) {
		if volume.socket {
			p.Report(volume.Path+".hostPath",
				"%s is %s of the node, by which a step has the whole node: build with Kaniko or rootless BuildKit, which need no socket",
				volume.Unit, volume.on)
		}
	}
}
