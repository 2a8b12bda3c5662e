package peers

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

const gatekeeperNamespace = "gatekeeper-system"

//go:embed policies/gatekeeper.yaml
var gatekeeperPolicies string

// StartGatekeeper runs Gatekeeper with its mutators and without its audit, like the
// Deployment of its chart that serves admission.
func StartGatekeeper(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	program, err := Build(ctx, Gatekeeper, o.Log)
	if err != nil {
		return nil, err
	}
	source, err := moduleDir(ctx, Gatekeeper)
	if err != nil {
		return nil, err
	}
	direct, err := kube.Client(c.Config)
	if err != nil {
		return nil, err
	}
	crds, err := readAll(source, "charts/gatekeeper/crds/*.yaml")
	if err != nil {
		return nil, err
	}
	if err := install(ctx, direct, append(crds, object("v1", "Namespace", "", gatekeeperNamespace))); err != nil {
		return nil, err
	}
	mutators, err := read("Gatekeeper's mutators", strings.NewReader(gatekeeperPolicies))
	if err != nil {
		return nil, err
	}
	if err := install(ctx, direct, mutators); err != nil {
		return nil, err
	}
	return runGatekeeper(ctx, c, program, o.Identity)
}

func runGatekeeper(ctx context.Context, c *cluster.Cluster, program string, identity *Identity) (*Server, error) {
	dir, err := directory(map[string][]byte{
		"tls.crt": identity.Certificate, "tls.key": identity.Key, "ca.crt": identity.CA,
	})
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	env := []string{
		"POD_NAME=gatekeeper", "POD_NAMESPACE=" + gatekeeperNamespace, "NAMESPACE=" + gatekeeperNamespace,
		"CONTAINER_NAME=manager",
	}
	args := []string{
		"--kubeconfig", c.Kubeconfig, "--cert-dir", filepath.Clean(dir), "--disable-cert-rotation",
		"--debug-use-fake-pod", "--host", "127.0.0.1", "--port", ports[0],
		"--health-addr", "127.0.0.1:" + ports[1], "--prometheus-port", ports[2],
	}
	for _, operation := range []string{
		"webhook", "mutation-webhook", "mutation-controller", "status", "mutation-status",
	} {
		args = append(args, "--operation="+operation)
	}
	s, err := launch(ctx, Gatekeeper, program, dir, env, args)
	if err != nil {
		return nil, err
	}
	s.CA = identity.CA
	s.Address = net.JoinHostPort("127.0.0.1", ports[0])
	s.URL = fmt.Sprintf("https://%s/v1/mutate", s.Address)
	return s.orStop(s.works(ctx, s.URL))
}
