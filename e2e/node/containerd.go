package node

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

const containerdSocket = "/run/containerd/containerd.sock"

// containerdConfig names what differs from containerd's own: where it works, and two
// things that need rights which root may not have here. The shim it finds beside
// itself.
const containerdConfig = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "` + containerdSocket + `"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "%[1]s"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "%[2]s"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["%[3]s"]
    conf_dir = "%[4]s"
`

const networkConfig = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "mtu": 1500,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + podRange + `"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

func (n *Node) containerd(ctx context.Context) error {
	for _, host := range []string{mirrorHost, RegistryHost} {
		text := fmt.Sprintf("server = \"https://%[1]s\"\n[host.\"https://%[1]s\"]\n  ca = %[2]q\n", host, n.CA)
		if _, err := n.file(filepath.Join("hosts", host, "hosts.toml"), text); err != nil {
			return err
		}
	}
	plugins, err := n.file("cni/10-pods.conflist", networkConfig)
	if err != nil {
		return err
	}
	config, err := n.file("containerd.toml", fmt.Sprintf(containerdConfig,
		pauseImage, filepath.Join(n.parts.Dir, "files", "hosts"), n.parts.CNI, filepath.Dir(plugins)))
	if err != nil {
		return err
	}
	p, err := n.run(filepath.Join(n.parts.Containerd, "containerd"), "--config", config)
	if err != nil {
		return err
	}
	return until(ctx, time.Minute, p, func(ctx context.Context) error {
		ctr := filepath.Join(n.parts.Containerd, "ctr")
		out, err := exec.CommandContext(ctx, ctr, "--address", containerdSocket, "version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("ctr version: %w: %s", err, out)
		}
		return nil
	})
}
