package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// TestSecretLabelOfNewInstallations: a new installation demands a label of the Secrets of
// webhooks, an existing one keeps what it has, and the file decides where it says something.
func TestSecretLabelOfNewInstallations(t *testing.T) {
	t.Parallel()
	s := newSiteOn(t, cluster.StartEmpty(t))
	const config = "v1 ConfigMap tekgate/tekgate-config"
	const demanded = "secretLabel: tekgate.dev/webhook-secret\n"
	install := func(interceptor string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "tekgate.yaml")
		text := "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: registry.example.com/tekton}\n"
		if err := os.WriteFile(file, []byte(text+interceptor), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errOut, err := program.Run(t, "", append([]string{"install", "--config", file, "--skip-probe", "--yes",
			"--wait=false"}, s.Kubeconfig...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, errOut)
		}
		return errOut
	}
	stored := func() string { return s.configText(config) }

	if errOut := install(""); !strings.Contains(stored(), demanded) ||
		!strings.Contains(errOut, "note: the Secrets of webhooks need the label tekgate.dev/webhook-secret") {
		t.Errorf("a new installation: %s\n%s", stored(), errOut)
	}
	if errOut := install("interceptor: {maxAge: 1h}\n"); !strings.Contains(stored(), demanded) ||
		strings.Contains(errOut, "need the label") || strings.Contains(errOut, "tekgate-config is kept") {
		t.Errorf("the same again: %s\n%s", stored(), errOut)
	}
	if install("interceptor: {secretLabel: \"\"}\n"); !strings.Contains(stored(), `secretLabel: ""`) {
		t.Errorf("switched off: %s", stored())
	}
	if install(""); !strings.Contains(stored(), `secretLabel: ""`) {
		t.Errorf("an existing installation without a label: %s", stored())
	}
}

func (s *site) configText(id string) string {
	s.T.Helper()
	obj := clitest.ObjectOf(id)
	if err := s.Client.Get(s.T.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		s.T.Fatal(err)
	}
	data, _ := obj.Object["data"].(map[string]any)
	text, _ := data["config.yaml"].(string)
	return text
}
