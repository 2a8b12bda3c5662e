package node

import (
	"context"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// enforcePolicies has NetworkPolicies enforced until the node ends, by the firewall of kube-router:
// its routes and its proxy for Services are left out.
func (n *Node) enforcePolicies(ctx context.Context) error {
	p, err := n.run(filepath.Join(n.parts.Policies, "kube-router"),
		"--run-firewall=true", "--run-router=false", "--run-service-proxy=false",
		"--kubeconfig="+n.Cluster.Kubeconfig,
		"--hostname-override="+nodeName,
		"--service-cluster-ip-range="+cluster.ServiceRange,
		"--health-port=0", "--metrics-port=0",
	)
	if err != nil {
		return err
	}
	return until(ctx, time.Minute, p, func(ctx context.Context) error {
		return exec.CommandContext(ctx, "iptables", "-S", "KUBE-ROUTER-FORWARD").Run()
	})
}
