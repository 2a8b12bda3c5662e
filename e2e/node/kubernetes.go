package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// controllers starts what turns Deployments into Pods and gives Pods a node.
func (n *Node) controllers(ctx context.Context) error {
	manager, err := n.run(filepath.Join(n.parts.Kubernetes, "kube-controller-manager"),
		"--kubeconfig="+n.Cluster.Kubeconfig,
		"--service-account-private-key-file="+n.Cluster.AccountKeyFile(),
		"--root-ca-file="+n.Cluster.CAFile(),
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
	)
	if err != nil {
		return err
	}
	if _, err := n.run(filepath.Join(n.parts.Kubernetes, "kube-scheduler"),
		"--kubeconfig="+n.Cluster.Kubeconfig, "--leader-elect=false", "--bind-address=127.0.0.1"); err != nil {
		return err
	}
	// It creates the ServiceAccounts without which no Pod is admitted.
	return until(ctx, time.Minute, manager, func(ctx context.Context) error {
		return n.client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "default"}, &corev1.ServiceAccount{})
	})
}

// corefile has the plugin hosts pass on what it does not know: it is asked first,
// wherever it stands.
const corefile = `.:53 {
	bind %[1]s
	errors
	kubernetes cluster.local in-addr.arpa {
		kubeconfig %[2]s
		pods insecure
	}
	hosts /etc/hosts {
		fallthrough
	}
}
`

// services starts what leads to Services: by name and by address.
func (n *Node) services(ctx context.Context) error {
	config, err := n.file("Corefile", fmt.Sprintf(corefile, address, n.Cluster.Kubeconfig))
	if err != nil {
		return err
	}
	dns, err := n.run(filepath.Join(n.parts.CoreDNS, "coredns"), "-conf", config)
	if err != nil {
		return err
	}
	if err := until(ctx, time.Minute, dns, func(ctx context.Context) error {
		_, err := net.DefaultResolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
		return err
	}); err != nil {
		return err
	}
	proxy, err := n.run(filepath.Join(n.parts.Kubernetes, "kube-proxy"),
		"--kubeconfig="+n.Cluster.Kubeconfig,
		"--hostname-override="+nodeName,
		"--proxy-mode=nftables",
		"--cluster-cidr="+podRange,
		// These would change the machine's tables of connections.
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-established=0s",
		"--conntrack-tcp-timeout-close-wait=0s",
	)
	if err != nil {
		return err
	}
	return until(ctx, time.Minute, proxy, func(ctx context.Context) error {
		connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", cluster.ServiceAddress+":443")
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
clusterDNS: [%[1]s]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://%[2]s
cgroupDriver: cgroupfs
cgroupRoot: /%[3]s
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
oomScoreAdj: 0
serializeImagePulls: false
# How soon a Pod sees that a Secret or ConfigMap has changed, which a minute is for else.
syncFrequency: 10s
# Nothing is evicted or collected for want of space that others use.
evictionHard: {memory.available: 1%%, nodefs.available: 0%%, imagefs.available: 0%%}
imageGCHighThresholdPercent: 100
logging: {verbosity: 2}
`

// kubelet starts the kubelet and waits until its node takes Pods.
func (n *Node) kubelet(ctx context.Context) error {
	group := filepath.Base(n.parts.Dir)
	config, err := n.file("kubelet.yaml", fmt.Sprintf(kubeletConfig, address, containerdSocket, group))
	if err != nil {
		return err
	}
	p, err := n.run(filepath.Join(n.parts.Kubernetes, "kubelet"),
		"--config="+config,
		"--kubeconfig="+n.Cluster.Kubeconfig,
		"--hostname-override="+nodeName,
		"--node-ip="+address,
	)
	if err != nil {
		return err
	}
	return until(ctx, 2*time.Minute, p, n.ready)
}

func (n *Node) ready(ctx context.Context) error {
	node := &corev1.Node{}
	if err := n.client.Get(ctx, client.ObjectKey{Name: nodeName}, node); err != nil {
		return err
	}
	err := errors.New("the node is not Ready")
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return nil
		}
		if c.Type == corev1.NodeReady {
			err = errors.New("the node is not Ready: " + c.Message)
		}
	}
	return err
}
