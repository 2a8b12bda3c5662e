//go:build e2e

package scenarios_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// dump leaves a folder that says what the cluster was like when a scenario failed: what
// tekgate collects for its users, too, and the logs of the node's own programs.
func (p *place) dump(t *testing.T, scenario string) {
	dir, err := folder(scenario)
	if err != nil {
		t.Errorf("making a folder for what a failure leaves: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	tekgate := filepath.Join(p.path[0], "tekgate")
	cmd := exec.CommandContext(ctx, tekgate, "support-bundle", "--all-namespaces", "--output", dir)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+p.env["KUBECONFIG"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("collecting what the cluster was like: %v: %s", err, out)
	}
	if p.node != nil {
		if err := keep(p.node.Logs, dir); err != nil {
			t.Errorf("keeping the logs of the node: %v", err)
		}
	}
	t.Logf("what the cluster was like is in %s", dir)
}

// folder makes the one for a scenario, without what an earlier failure left in it.
func folder(scenario string) (string, error) {
	root, err := cluster.Root(context.Background())
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "e2e", scenario)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// keep copies the logs of the node's programs to a folder, since the node takes its files
// along.
func keep(logs, dir string) error { return os.CopyFS(filepath.Join(dir, "node"), os.DirFS(logs)) }
