package validator_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/validator"
)

// TestCustomPage holds that the examples of rules in docs/policy.md find what the page says, and
// that it names every field and limit.
func TestCustomPage(t *testing.T) {
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Rules of your own\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var v *validator.Validator
	judged := 0
	for i, part := range strings.Split(section, "```") {
		block, is := strings.CutPrefix(part, "yaml\n")
		if !is || i%2 == 0 {
			continue
		}
		if strings.Contains(block, "kind: Configuration") {
			var file struct{ Validator map[string]any }
			if err := yaml.Unmarshal([]byte(block), &file); err != nil {
				t.Fatal(err)
			}
			own, err := yaml.Marshal(file.Validator)
			if err != nil {
				t.Fatal(err)
			}
			v = customValidator(t, string(own))
			v.Cluster = access{there{Set: validator.NewSet(nil)}}
			continue
		}
		wanted, _, _ := strings.Cut(strings.TrimPrefix(block, "# finds:"), "\n")
		judged++
		out := v.Judge(t.Context(), subjects(t, "policy.md", block)[0])
		var found []string
		for _, f := range out.Findings {
			found = append(found, f.Rule)
		}
		if !slices.Equal(found, strings.Fields(wanted)) || len(out.Unknown) > 0 {
			t.Errorf("found %v, unknown %v in\n%s", found, out.Unknown, block)
		}
	}
	if judged < 2 {
		t.Errorf("%d examples were judged", judged)
	}
	for _, name := range []string{"id", "kinds", "severity", "expression", "message", "messageExpression", "path", "doc", "atUse"} {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("the page does not name the field %s", name)
		}
	}
}
