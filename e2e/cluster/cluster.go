// Package cluster gives the tests and the demo a real Kubernetes API server.
//
// Whatever the API server decides (field managers, pruning, the order of
// admission, Established) is tested against it and never against a fake. So
// etcd and kube-apiserver are built from their Go modules and run as ordinary
// processes on loopback, without root. Starting and stopping them is
// controller-runtime's envtest; only where the binaries come from is ours,
// because envtest would download them and this project may not.
//
// KUBEBUILDER_ASSETS names a folder with other binaries; TEKGATE_KUBECONFIG
// names a cluster that exists, which is then used in place of a new one.
package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tekgate/tekgate/e2e/child"
)

// KubeconfigEnv names the kubeconfig of a cluster to use in place of a new one.
const KubeconfigEnv = "TEKGATE_KUBECONFIG"

// Cluster is an API server that answers.
type Cluster struct {
	// Config is an administrator's.
	Config *rest.Config
	// Kubeconfig is the path of a file that says the same as Config.
	Kubeconfig string
	// BinaryDir holds kube-apiserver and etcd; empty for an existing cluster.
	BinaryDir string

	env *envtest.Environment
	dir string
	// audit is nil where the API server writes no audit log.
	audit *audit
}

// New starts a control plane, or connects to the cluster of
// TEKGATE_KUBECONFIG. talk hears about slow steps. The caller stops it.
func New(ctx context.Context, talk io.Writer) (*Cluster, error) {
	return prepared(ctx, talk, func(*envtest.APIServer, string) error { return nil })
}

// prepared is New for an API server that is changed before it starts, as start says.
func prepared(ctx context.Context, talk io.Writer, prepare func(server *envtest.APIServer, dir string) error) (
	*Cluster, error) {
	if path := os.Getenv(KubeconfigEnv); path != "" {
		return existing(path)
	}
	binaries, err := Binaries(ctx, talk)
	if err != nil {
		return nil, err
	}
	return start(binaries, prepare)
}

// start starts a control plane; prepare may change the API server, whose files are
// in the given folder.
func start(binaries string, prepare func(server *envtest.APIServer, dir string) error) (*Cluster, error) {
	quiet()
	dir, err := os.MkdirTemp("", "tekgate-cluster-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the control plane: %w", err)
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory:    binaries,
		ControlPlaneStartTimeout: time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	// A folder of envtest's would go with the API server, and its keys with it, so
	// that it could not be started again.
	server := env.ControlPlane.GetAPIServer()
	server.CertDir = dir
	// Without these the API server asks for a default route, and publishes the
	// address it finds there.
	server.Configure().
		Set("advertise-address", "127.0.0.1").
		Set("endpoint-reconciler-type", "none")
	c := &Cluster{Kubeconfig: filepath.Join(dir, "kubeconfig"), BinaryDir: binaries, env: env, dir: dir}
	if err := prepare(server, dir); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	c.Config, err = env.Start()
	if err != nil {
		_ = env.Stop()
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("starting the control plane in %s: %w", binaries, err)
	}
	if err := c.writeKubeconfig(); err != nil {
		_ = c.Stop()
		return nil, err
	}
	return c, nil
}

// quiet keeps controller-runtime from complaining, with a stack trace, that
// nobody wants its log. Who does sets a logger of his own.
var quiet = sync.OnceFunc(func() { log.SetLogger(logr.Discard()) })

func existing(path string) (*Cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading %s=%s: %w", KubeconfigEnv, path, err)
	}
	return &Cluster{Config: config, Kubeconfig: path}, nil
}

func (c *Cluster) writeKubeconfig() error {
	if err := os.WriteFile(c.Kubeconfig, c.env.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// Stop ends the processes that New started and removes their files. An
// existing cluster is left as it is.
func (c *Cluster) Stop() error {
	if c.env == nil {
		return nil
	}
	defer os.RemoveAll(c.dir)
	if err := c.env.Stop(); err != nil {
		return fmt.Errorf("stopping the control plane: %w", err)
	}
	return nil
}

// KillAPIServer ends the API server at once and leaves etcd, as when its machine
// fails. Asked to end, it would wait a minute for those who watch. It is for
// clusters that New started.
func (c *Cluster) KillAPIServer() error {
	pid, err := c.apiServer()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the API server: %w", err)
	}
	for range 100 {
		if err = c.env.ControlPlane.GetAPIServer().Stop(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // envtest has not noticed yet
	}
	return fmt.Errorf("killing the API server: %w", err)
}

// apiServer finds the process by its folder, since envtest does not export the process.
func (c *Cluster) apiServer() (pid int, err error) {
	pids, err := child.Find("kube-apiserver", "--cert-dir="+c.dir+"\x00")
	if err != nil {
		return 0, err
	}
	if len(pids) == 0 {
		return 0, fmt.Errorf("finding the API server's process: none has --cert-dir=%s", c.dir)
	}
	return pids[0], nil
}

// StartAPIServer starts it again, under its old address and with its old keys.
func (c *Cluster) StartAPIServer() error {
	if err := c.env.ControlPlane.GetAPIServer().Start(); err != nil {
		return fmt.Errorf("starting the API server again: %w", err)
	}
	return nil
}

// Existing reports whether the cluster was there before, with whatever is in it.
func (c *Cluster) Existing() bool { return c.env == nil }

// StartEmpty is Start for a test that needs a cluster with nothing in it, such
// as one that installs. It skips the test where a cluster is given.
func StartEmpty(t testing.TB) *Cluster {
	t.Helper()
	if os.Getenv(KubeconfigEnv) != "" {
		t.Skipf("needs an empty cluster, and %s names one that is in use", KubeconfigEnv)
	}
	return Start(t)
}

// Start gives one test a control plane of its own, and stops it at the end.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c, err := New(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}
