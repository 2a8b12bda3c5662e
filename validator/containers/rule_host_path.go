package containers

import (
	"context"
	"path"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var hostPathRule = &rule.Rule{
	ID:       "host-path",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds volumes of tasks and podTemplates that are a folder of the node.

What writes there changes the node, and what the last run has left the next one finds,
of whatever namespace; Pod Security's level baseline refuses them. Workspaces cannot
be bound to a hostPath.

Paths that validator.policy.security.pods.hostPaths lists pass (* stands for any
characters but a slash). Sockets are the matter of the rule node-socket.`,
	Check: checkHostPath,
}

func checkHostPath(_ context.Context, p *rule.Pass) {
	for _, volume := range hostPathVolumes(p) {
		if !volume.socket && !rule.MatchesAny(rule.PolicyOf[SecurityPolicy](p).Pods.HostPaths, volume.on) {
			p.Report(volume.Path+".hostPath",
				"%s is %s of the node, shared with all that runs there: use an emptyDir, or a workspace with a PersistentVolumeClaim",
				volume.Unit, volume.on)
		}
	}
}

// hostVolume is a volume that is a file or folder of the node.
type hostVolume struct {
	place
	on     string // its path on the node
	socket bool
}

func hostPathVolumes(p *rule.Pass) []hostVolume {
	var r object.Reader
	var found []hostVolume
	for _, volume := range volumesIn(p) {
		source := r.Fields(volume.Fields, "hostPath")
		if source == nil {
			continue
		}
		on := path.Clean(r.Text(source, "path"))
		found = append(found,
			hostVolume{volume, on, r.Text(source, "type") == "Socket" || strings.HasSuffix(on, ".sock")})
	}
	return found
}
