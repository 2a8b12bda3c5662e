package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/mutator/policy"
)

const mapConfig = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mutator:
  serviceAccount: {name: builder}
  env: {set: [{steps: {images: ["**/golang"]}, variables: [{name: GOPROXY, value: "https://goproxy.example.com"}]}]}
`

func mapFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tekgate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExportMap(t *testing.T) {
	config := mapFile(t, mapConfig)
	out, errOut := program.Must(t, "export", "map", "--config", config)
	for _, part := range []string{"# Not exported:\n# - rule local-tasks: ", "\n# - rule kaniko: ", "# Limits of these policies:\n",
		"kind: MutatingAdmissionPolicy\n", "policyName: tekgate-env\n", "policyName: tekgate-resolved-env\n",
		"system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"} {
		if !strings.Contains(out, part) {
			t.Errorf("the output lacks %q", part)
		}
	}
	if !strings.Contains(errOut, "not exported: rule kaniko: ") {
		t.Errorf("standard error is\n%s", errOut)
	}
	var result struct {
		Objects           []json.RawMessage
		Remainder, Limits []policy.Limit
	}
	text, _ := program.Must(t, "export", "map", "--config", config, "-o", "json")
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Objects) != 10 || len(result.Remainder) != 2 || len(result.Limits) == 0 {
		t.Errorf("%d objects, remainder %v, %d limits", len(result.Objects), result.Remainder, len(result.Limits))
	}
}

// TestExportMapController holds that the policies for dry runs name the controller of
// another Tekton.
func TestExportMapController(t *testing.T) {
	out, _ := program.Must(t, "export", "map", "--config", mapFile(t, mapConfig), "--tekton-namespace", "ci")
	if strings.Contains(out, "tekton-pipelines:tekton-pipelines-controller") ||
		!strings.Contains(out, `"system:serviceaccount:ci:tekton-pipelines-controller"`) {
		t.Errorf("the output names another controller:\n%s", out)
	}
}

func TestExportMapStrict(t *testing.T) {
	out, _, err := program.Run(t, "", "export", "map", "--config", mapFile(t, mapConfig), "--strict")
	if err == nil || !strings.Contains(err.Error(), "--strict") || out != "" {
		t.Errorf("error %v, output %q", err, out)
	}
	all := strings.Replace(mapConfig, "mutator:\n", "mutator:\n  kaniko: {disabled: true}\n  localTasks: {disabled: true}\n", 1)
	program.Must(t, "export", "map", "--config", mapFile(t, all), "--strict")
}

func TestExportMapMistakes(t *testing.T) {
	for _, args := range [][]string{{"-o", "table"}, {"x"}, {"--context", "a"}, {"--tekton-namespace", "a/b"},
		{"--config", mapFile(t, strings.Replace(mapConfig, "builder", "Builder_1", 1))}} {
		if _, _, err := program.Run(t, "", append([]string{"export", "map"}, args...)...); err == nil {
			t.Errorf("%v is no mistake", args)
		}
	}
}

// TestExportMapApplies creates what is printed, with Tekton's settings of the
// cluster: the API server compiles every expression, and accepts them.
func TestExportMapApplies(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	real := cluster.StartEmpty(t)
	c, err := client.New(real.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, _ := program.Must(t, "export", "map", "--config", mapFile(t, mapConfig), "--live", "--kubeconfig",
		real.Kubeconfig)
	count := 0
	for document := range strings.SplitSeq(out, "\n---\n") {
		if strings.Contains(document, "kind: MutatingAdmissionPolicyBinding") {
			continue
		}
		var p admissionv1.MutatingAdmissionPolicy
		if err := yaml.Unmarshal([]byte(strings.TrimPrefix(document, "---\n")), &p); err != nil {
			t.Fatal(err)
		}
		if p.Name == "" {
			continue // the comments
		}
		count++
		if err := c.Create(t.Context(), &p); err != nil {
			t.Errorf("creating %s: %v", p.Name, err)
		}
	}
	if count != 5 {
		t.Errorf("%d policies, want 5", count)
	}
}
