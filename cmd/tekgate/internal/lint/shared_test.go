package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReportedCases lints examples of public reports, where they are at hand, for the rules that were
// written for them. Each class has cases of its own in the tests of its rule or above.
func TestReportedCases(t *testing.T) {
	const folder = "../../../../../shared/cases" // beside the checkout
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("the reported cases are not here: %v", err)
	}
	for file, want := range map[string]string{
		"01-triggers-objects-not-validated/unknown-field.yaml":      ":6:3: error",
		"01-triggers-objects-not-validated/no-template.yaml":        "(triggers-rejects)",
		"02-unserved-api/in-template.yaml":                          "(unserved-api)",
		"02-unserved-api/no-apiversion.yaml":                        "(syntax)",
		"03-objects-and-lists-in-params/cel-header.yaml":            "header.canonical('NAME')",
		"04-extension-that-nothing-sets/overlay-prefix.yaml":        "write key: short",
		"04-extension-that-nothing-sets/misspelt.yaml":              "did you mean git.branch?",
		"06-run-time-validation-of-pipelines/taskrunspecs.yaml":     "(unknown-task-run-spec)",
		"07-two-claims-in-one-task/run.yaml":                        "warning",
		"08-unknown-field-without-its-name/run.yaml":                ":16:11: error",
		"08-unknown-field-without-its-name/top-level.yaml":          ":4:1: error",
		"15-bare-and-misspelt-variables/task.yaml":                  "(misspelt-variable)",
		"17-field-names-in-another-case/template.yaml":              "(script-injection)",
		"21-v1-run-with-v1beta1-fields/template.yaml":               "spec.taskRunTemplate.serviceAccountName",
		"05-several-versions-of-a-task/task/build/0.2":              "",
		"09-yaml-merge-keys/run.yaml":                               "",
		"12-pipelines-as-code/.tekton":                              "",
		"12-pipelines-as-code/variables":                            "",
		"03-objects-and-lists-in-params/tekgate-changed-files.yaml": "", // a text since changedFiles became one
	} {
		out, _, _ := program.Run(t, "", "lint", filepath.Join(folder, file))
		if want == "" && out != "" || !strings.Contains(out, want) {
			t.Errorf("%s: got\n%s\nwant %q", file, out, want)
		}
	}
}
