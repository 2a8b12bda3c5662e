// Package node is a whole Kubernetes node that runs Pods, made from Go modules and a
// few of Debian's packages, with nothing prebuilt and no way to any other machine.
//
// It is what a user of Tekgate has: a cluster behind a wall, and a mirror. Only the
// mirror answers, so an image reference that was not rewritten fails its pull.
//
// A program enters the node as a whole (Enter): it runs again in namespaces of its
// own for network, mounts and processes, so that everything it does there, kubectl
// and tekgate included, is done from the node, and so that the kernel clears up. The
// machine sees processes, one folder and one control group, nothing else: even the
// kernel's settings that the kubelet insists on are covered for the node alone.
// To look into a node that runs: nsenter --all --target PID, with the PID of one of
// its processes; `ip netns exec` would hide its control groups.
//
// What is odd, and why:
//
//   - The other end of the node's network interface leads nowhere and the default
//     route says unreachable, since a pull that hangs blocks those behind it.
//   - Pods are attached by the plugin ptp and not by a bridge: packets between two of
//     them then pass the rules of kube-proxy without the kernel's br_netfilter.
//   - CoreDNS is a process of the node. It would gain nothing from being a Pod, and
//     the programs of the node ask it, too.
//   - Every client is an administrator, and the kubelet lets everybody in: who may
//     do what among Kubernetes' own parts is not what is tested here.
//   - Both registries have certificates of a CA of their own, as registries of
//     companies do. containerd is told, Tekgate hands it to Tekton with --ca-file.
//   - There are three pairs of Tekton's releases for the mirror (pairs.go): today's, that of
//     the line before, and one that does what articles of 2021 show. Older lines come on request.
//   - Private repositories are behind Debian's SSH server, for a user that only the
//     node's own /etc/passwd has.
//   - The plugin ptp enforces no NetworkPolicies. Where they count, the firewall of kube-router
//     does, with Debian's ipset, since the kernels of small machines have no queues of packets,
//     which others want.
//   - Images have one layer, a static binary and little else, uncompressed: nobody
//     downloads it, and compressing a gigabyte takes a minute.
package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// nodeName is the Node's.
const nodeName = "node"

// Node is one that is Ready.
type Node struct {
	Options
	Cluster *cluster.Cluster
	// Logs holds the logs of its programs, CA the authority of its registries, and
	// Config is the file with Tekgate's configuration.
	Logs, CA, Config string
	// GitKey is the private key that the server of private repositories lets in.
	GitKey string
	// Manifests are the folders with the manifests of pairs that Tekgate does not have in
	// itself.
	Manifests map[string]string

	// The files of the certificate of the registries and the forge, and of its key.
	certificateFile, keyFile string

	client client.Client
	parts  Parts
	talk   io.Writer
	start  time.Time
}

// Options are what nodes differ in.
type Options struct {
	// Pairs are the pairs of Tekton's releases that the mirror holds.
	Pairs []string
	// Policies says that NetworkPolicies are enforced, and that Tekgate's configuration asks for
	// those of Tekton.
	Policies bool
}

// Start makes a node of the namespaces that this process is in. Each step and its duration is
// printed to talk.
func Start(ctx context.Context, parts Parts, options Options, talk io.Writer) (*Node, error) {
	n := &Node{parts: parts, Options: options, talk: talk, start: time.Now(), Logs: filepath.Join(parts.Dir, "logs")}
	if err := os.MkdirAll(n.Logs, 0o755); err != nil {
		return nil, err
	}
	type step struct {
		what string
		do   func(context.Context) error
	}
	steps := []step{
		{"namespaces look like a machine", func(context.Context) error { return machine(parts.Dir) }},
		{"etcd and kube-apiserver answer", n.controlPlane},
		{"the mirror and the private registry answer", n.registries},
		{"images are on the mirror", n.images},
		{"the server of private repositories answers", n.gitServer},
		{"containerd answers", n.containerd},
		{"kube-controller-manager and kube-scheduler run", n.controllers},
		{"the node is Ready", n.kubelet},
		{"Services are found, by name and by address", n.services},
	}
	if options.Policies {
		steps = append(steps, step{"NetworkPolicies are enforced", n.enforcePolicies})
	}
	for _, step := range steps {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("starting the node, until %s: %w", step.what, err)
		}
		n.say("%s (%.1fs)", step.what, time.Since(began).Seconds())
	}
	return n, nil
}

func (n *Node) say(format string, args ...any) {
	fmt.Fprintf(n.talk, "node %5.1fs: %s\n", time.Since(n.start).Seconds(), fmt.Sprintf(format, args...))
}

func (n *Node) controlPlane(context.Context) (err error) {
	if n.Cluster, err = cluster.StartForNode(n.parts.ControlPlane, address); err != nil {
		return err
	}
	n.client, err = client.New(n.Cluster.Config, client.Options{Scheme: scheme.Scheme})
	return err
}

// file writes a file of the node's and returns its path.
func (n *Node) file(name, text string) (string, error) {
	path := filepath.Join(n.parts.Dir, "files", name)
	return path, write(path, text)
}
