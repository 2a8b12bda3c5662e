package migrate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/migrate"
)

// run is a TaskRun with a resource that another file has.
const run = `# mine
apiVersion: tekton.dev/v1beta1
kind: TaskRun
metadata: {name: r}
spec:
  taskRef: {name: t}
  resources:
    inputs:
    - name: source
      resourceRef: {name: repo}
`

const repo = `apiVersion: tekton.dev/v1alpha1
kind: PipelineResource
metadata: {name: repo}
spec: {type: git, params: [{name: url, value: "https://git.example.com/app.git"}]}
`

// TestUnblocked holds that an object that was left is converted once its reason is gone, and
// that the comment about it goes.
func TestUnblocked(t *testing.T) {
	left, notes := migrate.Files([]migrate.File{{Name: "run.yaml", Text: []byte(run)}}, migrate.Defaults())
	if len(notes) != 1 || notes[0].Level != migrate.Blocked ||
		!strings.Contains(string(left[0].Text), "not migrated:") ||
		!strings.Contains(string(left[0].Text), "tekton.dev/v1beta1") {
		t.Fatalf("got %v\n%s", notes, left[0].Text)
	}
	out, notes := migrate.Files(append(left, migrate.File{Name: "repo.yaml", Text: []byte(repo)}), migrate.Defaults())
	text := string(out[0].Text)
	for _, n := range notes {
		if n.Decision() {
			t.Errorf("got %+v", n)
		}
	}
	if strings.Contains(text, "TODO") || !strings.Contains(text, "# mine\n") || !strings.Contains(text, "source-url") {
		t.Errorf("got\n%s", text)
	}
	for line := range strings.Lines(string(out[1].Text)) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("the PipelineResource is no comment: %q", line)
		}
	}
}

// TestBreakpoint holds what becomes of the breakpoint of releases before v0.50.
func TestBreakpoint(t *testing.T) {
	const old = "apiVersion: tekton.dev/v1beta1\nkind: TaskRun\nmetadata: {name: r}\nspec:\n" +
		"  taskRef: {name: t}\n  debug:\n    breakpoint: [onFailure]\n"
	out, _ := migrate.Files([]migrate.File{{Name: "run.yaml", Text: []byte(old)}}, migrate.Defaults())
	if !strings.Contains(string(out[0].Text), "  debug:\n    breakpoints:\n      onFailure: enabled\n") {
		t.Errorf("got\n%s", out[0].Text)
	}
}

// TestNamespaces holds that objects of other namespaces are not taken for those that are
// meant.
func TestNamespaces(t *testing.T) {
	in := func(text, namespace string) migrate.File {
		return migrate.File{Name: namespace + ".yaml",
			Text: []byte(strings.Replace(text, "metadata: {", "metadata: {namespace: "+namespace+", ", 1))}
	}
	_, notes := migrate.Files([]migrate.File{in(run, "a"), in(repo, "b")}, migrate.Defaults())
	if len(notes) != 2 || notes[0].Level != migrate.Blocked || notes[1].Level != migrate.Todo {
		t.Errorf("got %+v", notes)
	}
}

// TestNamespaceGiven holds that a chosen namespace needs no decision.
func TestNamespaceGiven(t *testing.T) {
	const old = "apiVersion: tekton.dev/v1beta1\nkind: ClusterTask\nmetadata: {name: c}\nspec:\n" +
		"  steps: [{name: s, image: alpine, command: [ls]}]\n"
	o := migrate.Defaults()
	o.Namespace, o.NamespaceGiven = "shared", true
	out, notes := migrate.Files([]migrate.File{{Name: "c.yaml", Text: []byte(old)}}, o)
	for _, n := range notes {
		if n.Decision() {
			t.Errorf("got %+v", n)
		}
	}
	if !strings.Contains(string(out[0].Text), "{name: c, namespace: shared}") {
		t.Errorf("got\n%s", out[0].Text)
	}
}

// TestNearest holds that of several Tasks of one name that of the run's file is meant.
func TestNearest(t *testing.T) {
	const pipeline = "apiVersion: tekton.dev/v1beta1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n" +
		"  resources: [{name: r, type: git}]\n  tasks:\n  - name: a\n    taskRef: {name: t}\n" +
		"    resources: {inputs: [{name: NAME, resource: r}]}\n---\n"
	const task = "apiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata: {name: t}\nspec:\n" +
		"  resources: {inputs: [{name: NAME, type: git}, {name: NAME2, type: git}]}\n" +
		"  steps: [{name: s, image: alpine, command: [ls]}]\n"
	var files []migrate.File
	for _, name := range []string{"one", "two"} {
		files = append(files, migrate.File{Name: name + ".yaml",
			Text: []byte(strings.ReplaceAll(pipeline+task, "NAME", name))})
	}
	_, notes := migrate.Files(files, migrate.Defaults())
	for _, n := range notes {
		if n.Decision() {
			t.Errorf("got %+v", n)
		}
	}
}

// TestTimeouts holds that a value that gives way to another is named.
func TestTimeouts(t *testing.T) {
	const old = "apiVersion: tekton.dev/v1beta1\nkind: PipelineRun\nmetadata: {name: r}\nspec:\n" +
		"  pipelineRef: {name: p}\n  timeout: 1h\n  timeouts: {%s}\n"
	for values, want := range map[string]string{
		"pipeline: 2h, tasks: 30m": "pipeline: 2h, tasks: 30m was dropped", "tasks: 30m": "tasks: 30m was dropped",
		"pipeline: 1h": "", "": "",
	} {
		out, notes := migrate.Files([]migrate.File{{Name: "r.yaml", Text: []byte(fmt.Sprintf(old, values))}},
			migrate.Defaults())
		todos := slices.DeleteFunc(notes, func(n migrate.Note) bool { return n.Level != migrate.Todo })
		text := string(out[0].Text)
		if !strings.Contains(text, "pipeline: 1h") || (want != "") != strings.Contains(text, "TODO") ||
			(want != "") != (len(todos) == 1) || want != "" && !strings.Contains(todos[0].Message, want) {
			t.Errorf("%q: got %+v\n%s", values, todos, text)
		}
	}
}

// TestNoList holds that what Tekton would not take is not called converted.
func TestNoList(t *testing.T) {
	for spec, key := range map[string]string{
		"Task {steps: x}": "steps", "Task {steps: [], params: {a: b}}": "params", "Pipeline {tasks: {a: b}}": "tasks",
		"PipelineRun {params: {a: b}, pipelineRef: {name: p}}": "params",
		"TaskRun {taskSpec: {steps: x}}":                       "steps", "Task {steps: [], params: null}": "",
		"Pipeline {tasks: [{name: a, taskSpec: {steps: x}}]}": "steps",
	} {
		kind, spec, _ := strings.Cut(spec, " ")
		text := "apiVersion: tekton.dev/v1beta1\nkind: " + kind + "\nmetadata: {name: a}\nspec: " + spec + "\n"
		_, notes := migrate.Files([]migrate.File{{Name: "a.yaml", Text: []byte(text)}}, migrate.Defaults())
		blocked := slices.ContainsFunc(notes, func(n migrate.Note) bool {
			return n.Level == migrate.Blocked && strings.Contains(n.Message, key+" is no list")
		})
		converted := slices.ContainsFunc(notes, func(n migrate.Note) bool { return n.Level == migrate.Converted })
		if blocked != (key != "") || converted != (key == "") {
			t.Errorf("%s: got %+v", text, notes)
		}
	}
}

// TestUnreadable holds that documents that cannot be read are skipped, with a plain sentence.
func TestUnreadable(t *testing.T) {
	const head = "apiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata:\n  name: t\n"
	bomb := head + "x:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		bomb += fmt.Sprintf("  a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9))
	}
	for name, c := range map[string][2]string{
		"aliases":   {bomb + "spec: {steps: []}\n", "aliasing"},
		"an escape": {strings.Replace(bomb, "tekton.dev/v1beta1", `"tekton\x2edev/v1beta1"`, 1), "aliasing"},
		"unquoted":  {head + "spec:\n  params:\n  - name: a\n    default: {{ revision }}\n", "in quotes"},
	} {
		_, notes := migrate.Files([]migrate.File{{Name: "a.yaml", Text: []byte(c[0])}}, migrate.Defaults())
		if len(notes) != 1 || notes[0].Level != migrate.Skipped || !strings.Contains(notes[0].Message, c[1]) ||
			strings.Contains(notes[0].Message, "interface") {
			t.Errorf("%s: got %+v", name, notes)
		}
	}
}
