package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/node"
)

// Containerd is a containerd that runs until the test ends, and pulls images as on a node.
type Containerd struct {
	folder, program, pull string
}

// Pulled is what containerd lists of an image that was pulled.
type Pulled struct {
	Tags    []string `json:"tags"`
	Digests []string `json:"digests"`
	Error   string   `json:"error"`
}

// containerdConfig unpacks images by copies, which needs the fewest rights.
const containerdConfig = `version = 3
root = "%[1]s/root"
state = "%[1]s/state"
[grpc]
  address = "%[1]s/sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "%[1]s/certs.d"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/%[2]s"
  snapshotter = "native"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["%[1]s/cni"]
    conf_dir = "%[1]s/cni"
`

// StartContainerd starts the containerd that nodes of the scenarios run. It skips the test where
// containerd cannot run.
func StartContainerd(t testing.TB) *Containerd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("containerd needs root")
	}
	c := &Containerd{}
	var err error
	if c.program, err = node.Folder(t.Context(), t.Output(), "containerd"); err != nil {
		t.Fatal(err)
	}
	c.pull, err = cluster.Own{Program: "cri-pull", Dir: "clients/pull", Package: ".",
		Sources: []string{"main.go", "go.mod", "go.sum"}}.Build(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if c.folder, err = os.MkdirTemp("", "containerd"); err != nil { // t.TempDir is too long for a socket
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(c.folder) })
	c.start(t)
	return c
}

func (c *Containerd) start(t testing.TB) {
	t.Helper()
	config := filepath.Join(c.folder, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, containerdConfig, c.folder, runtime.GOARCH), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(c.program, "containerd"),
		"--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none", "TMPDIR="+c.folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // its mounts end with it
	if err := cmd.Start(); err != nil {
		t.Skipf("containerd cannot have mounts of its own here: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("containerd: %s", tail(log.Bytes()))
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := c.Ctr(t, "version")
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("containerd does not answer: %v %s\n%s", err, out, log)
		}
	}
}

func tail(text []byte) []byte { return text[max(0, len(text)-4000):] }

// Hosts writes the hosts.toml of a registry, which containerd reads at each pull.
func (c *Containerd) Hosts(t testing.TB, registry, text string) {
	t.Helper()
	folder := filepath.Join(c.folder, "certs.d", registry)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Ctr runs containerd's command line in the namespace of Kubernetes.
func (c *Containerd) Ctr(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.program, "ctr"),
		append([]string{"--address", filepath.Join(c.folder, "sock"), "--namespace", "k8s.io"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Pull pulls an image as the kubelet does, with a user of a pull Secret or "", and removes it again.
func (c *Containerd) Pull(t testing.TB, image, user string) Pulled {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.pull, "--socket", filepath.Join(c.folder, "sock"), "--user", user, image)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	var pulled Pulled
	if err == nil {
		err = json.Unmarshal(out, &pulled)
	}
	if err != nil {
		t.Fatalf("pulling %s: %v", image, err)
	}
	return pulled
}
