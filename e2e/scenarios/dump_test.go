//go:build e2e

package scenarios_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// dumped are the kinds whose objects a failure leaves behind. Secrets are not.
const dumped = "nodes,namespaces,pods,events,deployments,replicasets,services,endpointslices,serviceaccounts," +
	"mutatingwebhookconfigurations,validatingwebhookconfigurations," +
	"tasks.tekton.dev,taskruns.tekton.dev,pipelines.tekton.dev,pipelineruns.tekton.dev"

// dump leaves a folder that says what the cluster was like when a scenario failed.
func (p *place) dump(t *testing.T, scenario string) {
	dir, err := folder(scenario)
	if err != nil {
		t.Errorf("making a folder for what a failure leaves: %v", err)
		return
	}
	for _, kind := range strings.Split(dumped, ",") {
		p.kubectl(filepath.Join(dir, "objects", kind+".yaml"), "get", kind, "-A", "-o", "yaml")
	}
	p.kubectl(filepath.Join(dir, "events.txt"), "get", "events", "-A", "--sort-by=.lastTimestamp")
	p.kubectl(filepath.Join(dir, "pods.txt"), "get", "pods", "-A", "-o", "wide")
	list := filepath.Join(dir, "list")
	p.kubectl(list, "get", "pods", "-A", "-o", `jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\n"}{end}`)
	text, _ := os.ReadFile(list)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if namespace, name, ok := strings.Cut(line, " "); ok {
			p.kubectl(filepath.Join(dir, "pods", namespace+"_"+name+".log"), "logs", "-n", namespace, name, "--all-containers", "--prefix", "--timestamps")
		}
	}
	_ = os.Remove(list)
	if p.node != nil {
		if err := keep(p.node.Logs, scenario); err != nil {
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

// kubectl writes what kubectl says, and also what it complains of.
func (p *place) kubectl(file string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+p.env["KUBECONFIG"])
	if p.node != nil {
		cmd.Path = filepath.Join(p.path[1], "kubectl")
		cmd.Err = nil
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		out = append(out, err.Error()...)
	}
	if os.MkdirAll(filepath.Dir(file), 0o755) == nil {
		_ = os.WriteFile(file, out, 0o600)
	}
}

// keep copies the logs of the node's programs, since the node takes its files along.
func keep(logs, scenario string) error {
	root, err := cluster.Root(context.Background())
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "bin", "e2e", scenario, "node")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.CopyFS(dir, os.DirFS(logs))
}
