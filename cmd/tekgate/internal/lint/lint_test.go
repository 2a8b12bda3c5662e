package lint

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// theseRules keeps the tests apart from rules that are still to come.
const theseRules = "--only=dangling-reference,exception,suppression"

// today is when the tests run.
func today() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// lintWith runs the command with rules of the test.
func lintWith(t *testing.T, rules []*validator.Rule, in string, args ...string) (out, errOut string, err error) {
	t.Helper()
	return clitest.Run(t, cli.Root(lintBy(rules, today)), in, append([]string{"lint"}, args...)...)
}

// TestLintFormats holds what is printed for a folder, in every format.
func TestLintFormats(t *testing.T) {
	want, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("testdata/in")
	var talks []string
	for _, format := range []string{"text", "json", "sarif", "github"} {
		out, errOut, err := lintWith(t, validator.Rules, "", ".", theseRules, "-o", format)
		if cli.Status(err) != 1 {
			t.Errorf("%s: status %d: %v", format, cli.Status(err), err)
		}
		golden.Equal(t, filepath.Join(want, "want."+format), []byte(out))
		talks = append(talks, errOut)
	}
	golden.Equal(t, filepath.Join(want, "want.talk"), []byte(talks[0]))
	for _, errOut := range talks[1:] {
		if errOut != talks[0] {
			t.Errorf("what is said differs between formats: %s\nand %s", errOut, talks[0])
		}
	}
}

// required are the properties that SARIF 2.1.0 wants of each object that is written
// (OASIS Standard, sections 3.13 to 3.49), and those that GitHub wants besides.
var required = map[string][]string{
	"":                       {"version", "runs", "$schema"},
	"runs":                   {"tool", "results"},
	"runs.tool":              {"driver"},
	"runs.tool.driver":       {"name", "rules", "semanticVersion"},
	"runs.tool.driver.rules": {"id", "shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration"},
	"runs.results":           {"message", "ruleId", "ruleIndex", "level", "locations", "partialFingerprints"},
	"runs.results.message":   {"text"},
	"runs.results.locations": {"physicalLocation"},
	"runs.tool.driver.rules.defaultConfiguration":              {"level"},
	"runs.results.locations.physicalLocation":                  {"artifactLocation", "region"},
	"runs.results.locations.physicalLocation.artifactLocation": {"uri"},
	"runs.results.locations.physicalLocation.region":           {"startLine", "startColumn"},
	"runs.tool.driver.rules.shortDescription":                  {"text"},
	"runs.tool.driver.rules.help":                              {"text", "markdown"},
}

// TestLintSARIF holds the output to the standard's required properties, its ranges and
// its references from one part to another.
func TestLintSARIF(t *testing.T) {
	t.Chdir("testdata/in")
	out, _, _ := lintWith(t, validator.Rules, "", ".", theseRules, "-o", "sarif")
	var log any
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				walk(path, item)
			}
		case map[string]any:
			seen[path] = true
			for _, key := range required[path] {
				if v[key] == nil || v[key] == "" {
					t.Errorf("%q has no %s", path, key)
				}
			}
			for key, inner := range v {
				walk(strings.TrimPrefix(path+"."+key, "."), inner)
			}
		}
	}
	walk("", log)
	for path := range required {
		if !seen[path] {
			t.Errorf("nothing stands at %q, so nothing was looked at", path)
		}
	}
	var parsed sarifLog
	if err := json.Unmarshal([]byte(out), &parsed); err != nil || parsed.Version != "2.1.0" {
		t.Fatalf("got version %q: %v", parsed.Version, err)
	}
	run, prints := parsed.Runs[0], map[string]bool{}
	for _, r := range run.Results {
		region, print := r.Locations[0].PhysicalLocation.Region, r.PartialFingerprints["tekgate/v1"]
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || region.StartLine < 1 || region.StartColumn < 1 ||
			print == "" || prints[print] {
			t.Errorf("result %+v does not hold", r)
		}
		prints[print] = true
	}
}

// TestLintFingerprint holds that lines which move do not make a finding another one.
func TestLintFingerprint(t *testing.T) {
	print := func(text string) string {
		out, _, _ := lintWith(t, validator.Rules, text, "-", theseRules, "-o", "sarif")
		var log sarifLog
		if err := json.Unmarshal([]byte(out), &log); err != nil || len(log.Runs[0].Results) != 1 {
			t.Fatalf("got %s %v", out, err)
		}
		return log.Runs[0].Results[0].PartialFingerprints["tekgate/v1"]
	}
	text := dangling("a", "nowhere")
	if print(text) != print("# moved\n\n"+text) {
		t.Error("a comment above changes the fingerprint")
	}
	if print(text) == print(dangling("b", "nowhere")) {
		t.Error("two objects have the same")
	}
}

// dangling is an EventListener whose template does not exist.
func dangling(name, template string) string {
	return "apiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\nmetadata: {name: " + name +
		"}\nspec:\n  triggers:\n  - template: {ref: " + template + "}\n"
}

// TestLintStatus holds the exit statuses.
func TestLintStatus(t *testing.T) {
	rules := slices.DeleteFunc(slices.Clone(validator.Rules), func(r *validator.Rule) bool {
		return !slices.Contains([]string{"dangling-reference", "exception"}, r.ID)
	})
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("bad.yaml", dangling("a", "nowhere"))
	write("good.yaml", strings.Split(dangling("a", "nowhere"), "spec")[0])
	write("broken.yaml", "a: [\n")
	warn := "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nvalidator: {rules: {dangling-reference: {mode: "
	write("warn.yaml", warn+"warn}}}\n")
	write("audit.yaml", warn+"audit, namespaces: [{match: [ci], mode: enforce}]}}}\n")
	write("off.yaml", warn+"\"off\"}}}\n")
	write("lint.yaml", "suppress: [{rule: x}]\n")
	for _, c := range []struct {
		args string
		want int
		say  string
	}{
		{"good.yaml", 0, "1 object in 1 file: 0 errors, 0 warnings, 0 hints"},
		{"bad.yaml", 1, "1 finding at or above error"},
		{"bad.yaml good.yaml bad.yaml", 1, "2 objects in 2 files: 1 error"},
		{"bad.yaml --fail-on never", 0, "1 error"},
		{"bad.yaml --config warn.yaml", 0, "0 errors, 1 warning, 0 hints"},
		{"bad.yaml --config warn.yaml --fail-on warning", 1, "1 finding at or above warning"},
		{"bad.yaml --config warn.yaml --fail-on info", 1, "1 finding at or above info"},
		{"bad.yaml --config audit.yaml --fail-on warning", 0, "0 warnings, 1 hint"},
		{"bad.yaml --config audit.yaml --fail-on info", 1, "1 hint"},
		{"bad.yaml --config audit.yaml -n ci", 1, "1 error"},
		{"bad.yaml --config off.yaml --fail-on info", 0, "0 hints"},
		{"bad.yaml --except dangling-reference", 0, "0 errors"},
		{"bad.yaml --only exception", 0, "0 errors"},
		{"bad.yaml --only syntax", 0, "0 errors"},
		{"broken.yaml", 1, "1 error"},
		{"none.yaml", 2, "reading none.yaml: no such file or directory"},
		{"", 2, "nothing is named to be judged"},
		{"bad.yaml --nope", 2, "`tekgate lint --help` lists the flags"},
		{"bad.yaml -o xml", 2, "say text, json, yaml, name, jsonpath=TEMPLATE, sarif or github"},
		{"bad.yaml --fail-on bad", 2, "say error, warning, info or never"},
		{"bad.yaml --only danglin-reference", 2, `did you mean "dangling-reference"?`},
		{"bad.yaml --diff", 2, "are for --fix"},
		{"bad.yaml --context x", 2, "are for --live"},
		{"bad.yaml --ca-file x", 2, "are for --online"},
		{"bad.yaml --fix --diff -o json", 2, "both go to standard output"},
		{"- bad.yaml --fix", 2, "name - alone, or files"},
		{"- -", 0, "there is no object of Tekton's"},
		{"bad.yaml --config none.yaml", 2, "reading the configuration"},
		{"bad.yaml --suppressions lint.yaml", 2, `suppress[0].reason: it is missing`},
		{"bad.yaml --suppressions none.yaml", 2, "reading the suppressions"},
		{"bad.yaml --rules", 2, "read no files"},
		{"--explain nope", 2, "lists them"},
	} {
		out, errOut, err := lintWith(t, rules, "", strings.Fields(c.args)...)
		if err != nil {
			errOut += err.Error()
		}
		if got := cli.Status(err); got != c.want || !strings.Contains(errOut, c.say) {
			t.Errorf("lint %s: status %d, want %d: %s%s", c.args, got, c.want, out, errOut)
		}
	}
}

// TestLintUnreadable holds that a file that cannot be read is no clean file.
func TestLintUnreadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := program.Run(t, "", "lint", dir); cli.Status(err) != 2 {
		t.Errorf("got %v", err)
	}
}

// TestLintWithoutVersion holds that a file which is named and looks like an object, but has no apiVersion,
// is an error, and that values and lists are none.
func TestLintWithoutVersion(t *testing.T) {
	for text, want := range map[string]string{
		"kind: Task\nspec: {steps: []}\n":                "1:7: error: this Task is without apiVersion, so it is no Kubernetes object: write apiVersion: tekton.dev/v1 (syntax)",
		"spec: {}\nkind: EventListener\n":                "2:7: error: this EventListener is without apiVersion, so it is no Kubernetes object: write apiVersion: triggers.tekton.dev/v1beta1 (syntax)",
		"kind: Deployment\nspec: {}\n":                   "1:7: error: this Deployment is without apiVersion, so it is no Kubernetes object: write it above kind (syntax)",
		"# x\n---\nkind: StepAction\nspec: {image: a}\n": "3:7: error: this StepAction is without apiVersion, so it is no Kubernetes object: write apiVersion: tekton.dev/v1beta1 (syntax)",
		"kind: mine\nimage: a\n":                         "",
		"spec: {}\n":                                     "",
	} {
		file := filepath.Join(t.TempDir(), "a.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _, err := program.Run(t, "", "lint", file)
		if got := strings.TrimPrefix(strings.TrimSpace(out), file+":"); got != want || (err != nil) != (want != "") {
			t.Errorf("%q: got %q and %v, want %q", text, got, err, want)
		}
		if out, _, err = program.Run(t, "", "lint", filepath.Dir(file)); err != nil || out != "" {
			t.Errorf("%q in a folder: got %q and %v", text, out, err)
		}
	}
}

// TestLintDocuments holds that each rule can be looked up.
func TestLintDocuments(t *testing.T) {
	list, _ := program.Must(t, "lint", "--rules")
	for _, rule := range append(validator.Rules[:len(validator.Rules):len(validator.Rules)], findings.LintRules...) {
		if !strings.Contains(list, "\n"+rule.ID+" ") {
			t.Errorf("--rules does not list %s:\n%s", rule.ID, list)
		}
		text, _ := program.Must(t, "lint", "--explain", rule.ID)
		if !strings.HasPrefix(text, rule.ID+": "+string(rule.Severity)) || !strings.Contains(text, rule.Doc) {
			t.Errorf("--explain %s says %s", rule.ID, text)
		}
	}
}

// TestLintOptIn holds that a rule that is off is on where it is named.
func TestLintOptIn(t *testing.T) {
	rule := *renameRule
	rule.OptIn = true
	rules := []*validator.Rule{&rule}
	if out, _, _ := lintWith(t, rules, oldTask, "-"); out != "" {
		t.Errorf("it is off, and finds %s", out)
	}
	if out, _, _ := lintWith(t, rules, oldTask, "-", "--only", "rename"); !strings.Contains(out,
		"standard input:4:9: error: ") {
		t.Errorf("it is named, and finds %q", out)
	}
}
