package migrate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

var program = clitest.Program{Command}

const (
	task = "# mine\napiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata:\n  name: t\nspec:\n  steps:\n" +
		"  - name: s\n    image: alpine\n    command: [ls]\n    resources: {}\n"
	review = "apiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata: {name: r}\nspec:\n" +
		"  resources: {inputs: [{name: pr, type: pullRequest}]}\n  steps: [{name: s, image: alpine, command: [ls]}]\n"
)

// folder is a folder with files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	path := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestPrint(t *testing.T) {
	out, errOut, err := program.Run(t, task, "migrate", "-")
	if err != nil || !strings.HasPrefix(out, "# mine\napiVersion: tekton.dev/v1\n") ||
		!strings.Contains(errOut, "standard input:2: converted: Task t: it is tekton.dev/v1 now\n") ||
		!strings.HasSuffix(errOut, "1 file of 1 would be changed, 0 decisions to make\n") {
		t.Errorf("got %v\n%s%s", err, out, errOut)
	}
	again, _, err := program.Run(t, out, "migrate", "-")
	if err != nil || again != out {
		t.Errorf("again: got %v\n%s", err, again)
	}
}

// TestPrintSeveral holds that what is printed of several files can be read as one stream.
func TestPrintSeveral(t *testing.T) {
	path := folder(t, map[string]string{"a.yaml": task, "b.yaml": strings.TrimSuffix(task, "\n")})
	out, _, err := program.Run(t, "", "migrate", path)
	if err != nil || strings.Count(out, "\n---\n# mine\n") != 1 || strings.Count(out, "tekton.dev/v1\n") != 2 {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestDiff(t *testing.T) {
	path := folder(t, map[string]string{"a.yaml": task, "other.yaml": "a: 1\n"})
	out, _, err := program.Run(t, "", "migrate", path, "--diff")
	if err != nil || !strings.Contains(out, "-    resources: {}\n+    computeResources: {}\n") ||
		strings.Contains(out, "other.yaml") {
		t.Errorf("got %v\n%s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(path, "a.yaml")); err != nil || string(text) != task {
		t.Errorf("the file was changed: %v\n%s", err, text)
	}
}

func TestWrite(t *testing.T) {
	path := folder(t, map[string]string{"a.yaml": task, "b.yaml": review, "c.txt": task})
	link := filepath.Join(path, "link.yaml")
	if err := os.Symlink("a.yaml", link); err != nil {
		t.Fatal(err)
	}
	out, errOut, err := program.Run(t, "", "migrate", "-w", filepath.Join(path, "b.yaml"), link)
	if out != "" || cli.Status(err) != 1 || !strings.Contains(errOut, "b.yaml:1: blocked: Task r: ") ||
		!strings.HasSuffix(errOut, "2 files of 2 changed, 1 decision to make\n") {
		t.Errorf("got %v\n%s%s", err, out, errOut)
	}
	for name, want := range map[string]string{"a.yaml": "tekton.dev/v1\n", "b.yaml": "# TODO(tekgate migrate): not",
		"c.txt": "v1beta1"} {
		text, err := os.ReadFile(filepath.Join(path, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 4 {
		t.Errorf("files are left over: %v, %v", entries, err)
	}
}

func TestJSON(t *testing.T) {
	path := folder(t, map[string]string{"a.yaml": task, "b.yaml": review})
	out, _, err := program.Run(t, "", "migrate", path, "-o", "json")
	if cli.Status(err) != 1 {
		t.Errorf("got %v", err)
	}
	var report reportJSON
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(report.Files) != 2 || !report.Files[0].Changed ||
		!strings.Contains(report.Files[0].Text, "tekton.dev/v1\n") ||
		len(report.Notes) != 2 || report.Notes[1].Level != "blocked" || report.Notes[1].Name != "r" {
		t.Errorf("got %s", out)
	}
}

func TestArguments(t *testing.T) {
	file := clitest.File(t, "task.yaml", task)
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "no input"},
		{[]string{file, "--diff", "-w"}, "exclude one another"},
		{[]string{file, "--diff", "-o", "json"}, "leave one of them out"},
		{[]string{"-", "-w"}, "standard input has none"},
		{[]string{file, "-o", "xml"}, "is not known"},
		{[]string{file, "--git-image", "a b"}, "--git-image"},
		{[]string{file, "--cluster-task-namespace", ""}, "name a namespace"},
		{[]string{file + ".nosuch"}, "no such file"},
		{[]string{file, "--nosuch"}, "--nosuch"},
	} {
		_, _, err := program.Run(t, "", append([]string{"migrate"}, test.args...)...)
		if cli.Status(err) != 2 || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %d %v", test.args, cli.Status(err), err)
		}
	}
}

// TestWriteChanged holds that a file is left alone that somebody else changed in between.
func TestWriteChanged(t *testing.T) {
	path := folder(t, map[string]string{"a.yaml": task, "b.yaml": task})
	files, err := read([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	after := append(files[:0:0], files...)
	after[0].Text, after[1].Text = []byte("new"), []byte("new")
	if err := os.WriteFile(filepath.Join(path, "b.yaml"), []byte("theirs"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := write(files, after); err == nil || !strings.Contains(err.Error(), "it has changed since") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(path, "a.yaml")); err != nil || string(text) != task {
		t.Errorf("the other file was written: %v\n%s", err, text)
	}
}
