package containers

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var hostNetworkRule = &rule.Rule{
	ID:       "host-network",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds runs whose podTemplate has hostNetwork true, also for a single task in
taskRunSpecs, and sidecars that open a port of the node.

The steps then pass every NetworkPolicy by, and reach what listens on the node's
loopback and the cloud's metadata service, which hands out the node's credentials
(Tekton's threat model).`,
	Check: checkHostNetwork,
}

func checkHostNetwork(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, template := range podTemplatesIn(p) {
		if r.Flag(template.Fields, "hostNetwork") {
			p.Report(template.Path+".hostNetwork",
				"the steps use the node's network, where no NetworkPolicy holds and the node's own services answer: remove hostNetwork")
		}
	}
	for _, c := range containersIn(p) {
		for i, port := range r.FieldsList(c.Fields, "ports") {
			if on, is := rule.Number(port["hostPort"]); is && on != 0 {
				p.Report(fmt.Sprintf("%s.ports[%d].hostPort", c.Path, i),
					"%s opens port %d of the node, for all who reach the node: remove hostPort, since steps reach a sidecar by localhost",
					c.Unit, on)
			}
		}
	}
}
