package lint

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

var (
	taskKind    = schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "Task"}
	taskRunKind = schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "TaskRun"}
)

// renameRule mends a name.
var renameRule = &validator.Rule{
	ID: "rename", Severity: validator.Error, Doc: "Finds old names.",
	Kinds: []schema.GroupVersionKind{taskKind, taskRunKind},
	Check: func(_ context.Context, p *validator.Pass) {
		var r object.Reader
		if r.Text(r.Fields(p.Object, "metadata"), "name") == "old" {
			p.Mend(p.Report("metadata.name", "old is not new"),
				validator.Edit{Op: "replace", Path: "metadata.name", Value: "new"})
		}
	},
}

// dropRule mends a list: it removes steps, and gives the last one a script.
var dropRule = &validator.Rule{
	ID: "drop", Severity: validator.Warning, Doc: "Finds needless steps.", Kinds: []schema.GroupVersionKind{taskKind},
	Check: func(_ context.Context, p *validator.Pass) {
		var r object.Reader
		for i, step := range r.FieldsList(r.Fields(p.Object, "spec"), "steps") {
			at := fmt.Sprintf("spec.steps[%d]", i)
			switch {
			case r.Text(step, "name") == "drop":
				p.Mend(p.Report(at, "this step is needless"), validator.Edit{Op: "remove", Path: at})
			case step["script"] == nil:
				p.Mend(p.Report(at, "this step does nothing"),
					validator.Edit{Op: "add", Path: at + ".script", Value: "a\nb\n"},
					validator.Edit{Op: "add", Path: "metadata.annotations", Value: map[string]any{"x/y": "z"}})
			}
		}
	},
}

const oldTask = `apiVersion: tekton.dev/v1
kind: Task
metadata:
  name: old # a comment
spec:

    steps:
        - name: drop   # needless
          image: a

        - name: keep   # odd    spaces
          image:   b
        - name: drop
          image: c
---
# another
{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
`

const newTask = `apiVersion: tekton.dev/v1
kind: Task
metadata:
  name: new # a comment
  annotations:
    x/y: z
spec:

    steps:

        - name: keep   # odd    spaces
          image:   b
          script: |
            a
            b
---
# another
{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
`

var mendingRules = []*validator.Rule{renameRule, dropRule}

// TestLintFix holds that mending changes what it has to and nothing else.
func TestLintFix(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "task.yaml")
	if err := os.WriteFile(path, []byte(oldTask), 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	out, errOut, err := lintWith(t, mendingRules, "", link, "--fix")
	if err != nil || out != "" {
		t.Fatalf("%v: %s%s", err, out, errOut)
	}
	if got, _ := os.ReadFile(path); string(got) != newTask {
		t.Errorf("got\n%s\nwant\n%s", got, newTask)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("the file is %v now: %v", info, err)
	}
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("the link is %q now: %v", target, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files are left: %v", left)
	}
	clitest.InOrder(t, errOut, "mended: "+link+":4:9: old is not new (rename)",
		"link.yaml:8:11: this step is needless (drop)", ":11:11: this step does nothing", "4 mended")
}

// TestLintFixDiff holds that a diff changes nothing, and that the exit status is that
// of the file as it is.
func TestLintFixDiff(t *testing.T) {
	for _, flag := range []string{"--diff", "--dry-run"} {
		path := clitest.File(t, "task.yaml", oldTask)
		out, errOut, err := lintWith(t, mendingRules, "", path, "--fix", flag)
		if cli.Status(err) != 1 || !strings.Contains(errOut, "would be mended: ") {
			t.Errorf("status %d: %s", cli.Status(err), errOut)
		}
		clitest.InOrder(t, out, "--- "+path, "+++ "+path+" (mended)", "-  name: old # a comment",
			"+  name: new # a comment", "-        - name: drop   # needless", "+          script: |")
		if got, _ := os.ReadFile(path); string(got) != oldTask {
			t.Errorf("the file was changed:\n%s", got)
		}
	}
}

// TestLintFixText holds mending for ways of writing: of standard input, whose text is
// printed.
func TestLintFixText(t *testing.T) {
	const old, list = `{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"old"},"n":1.50}`,
		"apiVersion: v1\nkind: List\nitems:\n# first\n- apiVersion: v1\n  kind: Secret\n- apiVersion: tekton.dev/v1\n  kind: Task\n  metadata:\n    name: 'old' # here\n"
	const template = "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerTemplate\nmetadata: {name: t}\nspec:\n  resourcetemplates:\n  - apiVersion: tekton.dev/v1\n    kind: TaskRun\n\n    metadata:\n      name: old\n"
	for _, c := range []struct{ name, text, want string }{
		{"YAML", oldTask, newTask},
		{"nothing to mend", newTask, newTask},
		{"Windows", strings.ReplaceAll(oldTask, "\n", "\r\n"), strings.ReplaceAll(newTask, "\n", "\r\n")},
		{"mark of byte order, and a document before", "\ufeffa: b\n---\n---\n" + oldTask,
			"\ufeffa: b\n---\n---\n" + newTask},
		{"JSON", old,
			"{\n  \"apiVersion\": \"tekton.dev/v1\",\n  \"kind\": \"Task\",\n  \"metadata\": {\n    \"name\": \"new\"\n  },\n  \"n\": 1.50\n}\n"},
		{"JSON of several lines",
			"{\"apiVersion\": \"tekton.dev/v1\",\n    \"kind\": \"Task\",\n    \"metadata\": {\n        \"name\": \"old\"\n    }\n}\n",
			"{\"apiVersion\": \"tekton.dev/v1\",\n    \"kind\": \"Task\",\n    \"metadata\": {\n        \"name\": \"new\"\n    }\n}\n"},
		{"List", list, strings.Replace(list, "'old'", "'new'", 1)},
		{"TriggerTemplate", template, strings.Replace(template, "old", "new", 1)},
		{"comment that suppresses", strings.Replace(template, "old", "old # tekgate: ignore rename on purpose", 1),
			strings.Replace(template, "old", "old # tekgate: ignore rename on purpose", 1)},
	} {
		out, errOut, err := lintWith(t, mendingRules, c.text, "-", "--fix")
		if err != nil || out != c.want {
			t.Errorf("%s: %v %s: got\n%s\nwant\n%s", c.name, err, errOut, out, c.want)
		}
	}
}

// TestLintFixRefuses holds that a remedy that does not apply, or changes nothing, or
// never is enough, ends and leaves the file readable.
func TestLintFixRefuses(t *testing.T) {
	mend := func(edits ...validator.Edit) *validator.Rule {
		return &validator.Rule{ID: "bad", Severity: validator.Error, Doc: "Finds.",
			Kinds: []schema.GroupVersionKind{taskKind},
			Check: func(_ context.Context, p *validator.Pass) { p.Mend(p.Report("metadata", "is bad"), edits...) }}
	}
	anchored := "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: &n old}\nspec:\n  description: *n\n"
	for _, c := range []struct {
		name, text, want, say string
		rule                  *validator.Rule
	}{
		{"no such field", oldTask, oldTask, "the remedy of bad was not applied",
			mend(validator.Edit{Op: "remove", Path: "spec.nothing"})},
		{"no change", oldTask, oldTask, "it changes nothing",
			mend(validator.Edit{Op: "replace", Path: "metadata.name", Value: "old"})},
		{"kind is lost", "apiVersion: tekton.dev/v1\nkind: Task\n", "apiVersion: tekton.dev/v1\nkind: Task\n",
			"so that it means what is wanted", mend(validator.Edit{Op: "remove", Path: "kind"})},
		{"never enough", "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {l: []}\n",
			"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {l: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}\n", "10 mended",
			mend(validator.Edit{Op: "add", Path: "metadata.l[-]", Value: 1})},
		{"anchor", anchored,
			"apiVersion: tekton.dev/v1\nkind: Task\nmetadata:\n  name: new\nspec:\n  description: old\n", "1 mended",
			renameRule},
	} {
		out, errOut, err := lintWith(t, []*validator.Rule{c.rule}, c.text, "-", "--fix")
		if (c.rule != renameRule) != (cli.Status(err) == 1) || out != c.want || !strings.Contains(errOut, c.say) {
			t.Errorf("%s: %v %s: got\n%s\nwant\n%s", c.name, err, errOut, out, c.want)
		}
	}
}
