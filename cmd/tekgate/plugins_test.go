package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/node"
	"github.com/tekgate/tekgate/manifests"
)

// asProgram is the variable by which TestMain runs the program in place of the tests.
const asProgram = "TEKGATE_TEST_AS_PROGRAM"

// TestMain runs the program itself where a plugin is a link to the tests' binary.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// plugins are tkn and kubectl of the cache, with the plugins on their PATH.
type plugins struct {
	*testing.T
	tkn, kubectl string
	env          []string
}

func newPlugins(t *testing.T, kubeconfig string) *plugins {
	t.Helper()
	p := &plugins{T: t}
	for program, cached := range map[string]func(string) (string, bool){"tkn": node.Cached, "kubectl": cluster.Cached} {
		file, ok := cached(program)
		if !ok {
			t.Skipf("%s is not in the cache: `make node` builds it", program)
		}
		if program == "tkn" {
			p.tkn = file
		} else {
			p.kubectl = file
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, link := range []string{"tkn-tekgate", "kubectl-tekgate", "kubectl_complete-tekgate"} {
		if err := os.Symlink(self, filepath.Join(folder, link)); err != nil {
			t.Fatal(err)
		}
	}
	p.env = []string{asProgram + "=1", "PATH=" + folder, "HOME=" + t.TempDir(), "KUBECONFIG=" + kubeconfig}
	return p
}

// run runs tkn or kubectl, and returns what it printed and its exit status.
func (p *plugins) run(program string, args ...string) (out, errOut string, status int) {
	p.Helper()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(p.Context(), program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// TestPlugins runs the program as a plugin of the real tkn and kubectl against a real API server.
func TestPlugins(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	site := clitest.NewSite(t, nil, c.Config, c.Kubeconfig)
	site.Create("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
	p := newPlugins(t, c.Kubeconfig)
	for _, tt := range []struct{ program, name string }{{p.tkn, "tkn tekgate"}, {p.kubectl, "kubectl tekgate"}} {
		out, errOut, status := p.run(tt.program, "tekgate", "--help")
		if status != 0 || !strings.Contains(out, "\n  "+tt.name+" [command]\n") {
			t.Errorf("%s --help: status %d\n%s%s", tt.name, status, out, errOut)
		}
		out, errOut, status = p.run(tt.program, "tekgate", "check", "--help")
		if status != 0 || !strings.Contains(out, "\n  "+tt.name+" check --wait 5m\n") ||
			!strings.Contains(out, "--as-group GROUP") {
			t.Errorf("%s check --help: status %d\n%s%s", tt.name, status, out, errOut)
		}
		_, errOut, status = p.run(tt.program, "tekgate", "chek")
		want := tt.name + `: unknown command "chek" for "` + tt.name + `"`
		if status != 1 || !strings.HasPrefix(errOut, want) {
			t.Errorf("%s chek: status %d: %s", tt.name, status, errOut)
		}
		_, errOut, status = p.run(tt.program, "tekgate", "check", "--frobnicate")
		if want := tt.name + ": unknown flag: --frobnicate: `" + tt.name + " check --help` lists"; status != 1 ||
			!strings.HasPrefix(errOut, want) {
			t.Errorf("%s check --frobnicate: status %d: %s", tt.name, status, errOut)
		}
		out, errOut, status = p.run(tt.program, "tekgate", "version", "-o", "json")
		var version struct {
			Client  struct{ Version string }
			Cluster struct{ Kubernetes string }
		}
		if err := json.Unmarshal([]byte(out), &version); err != nil || status != 0 ||
			version.Client.Version != manifests.Version || !strings.HasPrefix(version.Cluster.Kubernetes, "v1.") {
			t.Errorf("%s version: status %d, %v: %s%s", tt.name, status, err, out, errOut)
		}
		out, errOut, status = p.run(tt.program, "tekgate", "check")
		if status != 1 || !strings.Contains(out, "[fail]") || !strings.HasPrefix(errOut, tt.name+": ") ||
			!strings.HasSuffix(errOut, "checks failed\n") {
			t.Errorf("%s check: status %d\n%s%s", tt.name, status, out, errOut)
		}
		out, errOut, _ = p.run(tt.program, "tekgate", "status")
		if want := "nothing is installed: run `" + tt.name + " install`\n"; out != want {
			t.Errorf("%s status: %s%s", tt.name, out, errOut)
		}
		out, errOut, status = p.run(tt.program, "tekgate", "version", "--as", "stranger", "-o", "jsonpath={.cluster.unread[0]}")
		if status != 0 || out != "you may not read Deployment tekgate/tekgate-webhook" {
			t.Errorf("%s version --as stranger: status %d: %s%s", tt.name, status, out, errOut)
		}
	}
	// kubectl asks the plugin for completions; tkn does not.
	for line, want := range map[string]string{
		"im": "images\t", "audit -n sh": "shop\n", "check -o ": "jsonpath=", "install --mirror dao": "daocloud\t",
	} {
		words := append([]string{"__complete", "tekgate"}, strings.Split(line, " ")...)
		out, errOut, status := p.run(p.kubectl, words...)
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("completing %q: status %d: %s%s", line, status, out, errOut)
		}
	}
}
