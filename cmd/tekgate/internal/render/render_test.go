package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// program has the verbs that the tests of this package run.
var program = clitest.Program{Command}

// A rendering in files has one per object and no leftovers of the one before.
func TestRenderSplit(t *testing.T) {
	folder := t.TempDir()
	keep := filepath.Join(folder, "mine.yaml")
	if err := os.WriteFile(keep, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"render", "--mirror", "registry.example.com/tekton", "--split", folder}
	program.Must(t, flags...)
	files, _ := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if len(files) != 160+2 {
		t.Errorf("%d files, want one for each of 160 objects, the list and mine", len(files))
	}
	whole, _ := program.Must(t, flags[:3]...)
	text, err := os.ReadFile(filepath.Join(folder, "deployment-tekton-pipelines-tekton-pipelines-controller.yaml"))
	if err != nil || !strings.Contains(whole, "---\n"+string(text)) {
		t.Errorf("the controller's file is not what render prints (error %v)", err)
	}
	program.Must(t, append(flags, "--pipeline-manifest", pod(t))...)
	files, _ = filepath.Glob(filepath.Join(folder, "*.yaml"))
	if len(files) != 85+2 {
		t.Errorf("%d files after a smaller rendering", len(files))
	}
	if _, err := os.Stat(keep); err != nil {
		t.Error("a file that render did not write is gone")
	}
}

func pod(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(path,
		[]byte(
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: default}\nspec: {containers: [{name: c, image: 'alpine:3'}]}\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const certificatesConfig = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: registry.example.com/tekton}\ncertificates: "

func certificatesFile(t *testing.T, certificates string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tekgate.yaml")
	if err := os.WriteFile(file, []byte(certificatesConfig+certificates+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Without a cluster the configuration's word is taken.
func TestRenderCertificates(t *testing.T) {
	for source, want := range map[string]bool{"auto": false, "self": false, "cert-manager": true} {
		out, _ := program.Must(t, "render", "--config", certificatesFile(t, "{source: "+source+"}"))
		for _, part := range []string{"name: tekgate-webhook-tls", "--certificate-secret=tekgate-interceptor-tls",
			"kind: Issuer"} {
			if strings.Contains(out, part) != want {
				t.Errorf("source %s renders %q: %v, want %v", source, part, !want, want)
			}
		}
		if strings.Contains(out, "source: "+source) {
			t.Errorf("source %s is the servers' business", source)
		}
	}
	out, _ := program.Must(t, "render", "--config",
		certificatesFile(t,
			"{source: cert-manager, issuerRef: {kind: ClusterIssuer, name: house}}\ninstall: {webhookURL: 'https://10.1.2.3:9443'}"))
	if strings.Contains(out, "kind: Issuer\n") || strings.Count(out, "name: house") != 2 ||
		!strings.Contains(out, "- 10.1.2.3\n") {
		t.Error("an issuer of the house, or a server's address, is not asked for")
	}
}
