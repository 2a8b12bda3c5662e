package export

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

const vapConfig = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
validator:
  custom:
  - {id: team-label, kinds: [TaskRun], expression: has(object.metadata.labels), message: add a label}
  - {id: known-task, kinds: [TaskRun], expression: "set.has('Task', 'x')", message: name a Task}
`

// TestExportVAP holds what the command prints, and where.
func TestExportVAP(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("tekgate.yaml", []byte(vapConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errOut, err := program.Run(t, "", "export", "vap", "--config", "tekgate.yaml")
	if err != nil || !strings.Contains(out, "name: tekgate-team-label-warn") || !strings.Contains(out, "kube-system") ||
		!strings.Contains(out, "kind: ValidatingAdmissionPolicyBinding") ||
		strings.Contains(out, "status:") {
		t.Errorf("error %v: %s", err, out)
	}
	if want := "not exported: rule known-task: its expression uses set"; !strings.Contains(errOut, want) {
		t.Errorf("no %q in %s", want, errOut)
	}
	out, _, err = program.Run(t, "", "export", "vap", "--config", "tekgate.yaml", "-o", "json")
	var result struct{ Objects, Remainder, Limits []map[string]any }
	if json.Unmarshal([]byte(out), &result) != nil || err != nil ||
		len(result.Objects) < 8 || len(result.Objects)%2 != 0 ||
		len(result.Remainder) < 50 ||
		len(result.Limits) == 0 {
		t.Errorf("error %v: %.500s", err, out)
	}
	for name, args := range map[string][]string{"strict": {"--strict"}, "argument": {"x"}, "namespace": {"--tekton-namespace=A"}} {
		out, _, err := program.Run(t, "", append([]string{"export", "vap"}, args...)...)
		if cli.Status(err) == 0 || out != "" {
			t.Errorf("%s: status %d: %.100s", name, cli.Status(err), out)
		}
	}
}
