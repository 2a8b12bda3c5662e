package validator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/contexts"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"knative.dev/pkg/apis"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// TestTogether judges objects with many defects by all rules that are on by default.
// Beside each testdata/together/NAME.yaml lie its defects, a path and what is wrong
// there, and the golden file NAME.txt: all findings, and the defects that no rule
// found.
func TestTogether(t *testing.T) {
	files, err := filepath.Glob("testdata/together/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			s := subject(t, golden.JSON(t, golden.Read(t, file)))
			v := &validator.Validator{Config: validator.Default(), Cluster: validator.NewSet([]validator.Subject{s})}
			out := v.Judge(t.Context(), s)
			text := judgement(out) + missed(t, name+".defects.txt", out.Findings)
			golden.Equal(t, name+".txt", []byte(text))
			for _, finding := range out.Findings {
				if strings.Contains(finding.Message, "not-a-real-password-1b9d") {
					t.Errorf("a message tells the password: %s", finding)
				}
			}
		})
	}
}

// missed names the defects at and below whose path nothing has been found.
func missed(t *testing.T, file string, findings []validator.Finding) string {
	t.Helper()
	var text strings.Builder
	defects := explanations(string(golden.Read(t, file)))
	if len(defects) == 0 {
		t.Errorf("%s names no defect", file)
	}
	for line := range strings.Lines(string(golden.Read(t, file))) {
		path, what, _ := strings.Cut(strings.TrimSpace(line), "  # ")
		there := func(f validator.Finding) bool {
			rest, below := strings.CutPrefix(f.Path, path)
			return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
		}
		if path != "" && !slices.ContainsFunc(findings, there) {
			fmt.Fprintf(&text, "missed: %s: %s\n", path, what)
		}
	}
	return text.String()
}

// TestTogetherIsAccepted holds that Tekton Triggers itself finds nothing wrong with
// the listener and the template: were it otherwise, nobody would need the rules.
func TestTogetherIsAccepted(t *testing.T) {
	for name, tekton := range map[string]interface {
		apis.Validatable
		apis.Defaultable
	}{"eventlistener": &v1beta1.EventListener{}, "triggertemplate": &v1beta1.TriggerTemplate{}} {
		decoder := json.NewDecoder(bytes.NewReader(golden.JSON(t, golden.Read(t, "testdata/together/"+name+".yaml"))))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(tekton); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ctx := contexts.WithUpgradeViaDefaulting(apis.WithinCreate(t.Context()))
		tekton.SetDefaults(ctx)
		if err := tekton.Validate(ctx); err != nil {
			t.Errorf("Tekton refuses %s: %v", name, err)
		}
	}
}
