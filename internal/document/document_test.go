package document_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	evanphx "github.com/evanphx/json-patch/v5"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/object"
)

func read(t *testing.T, text string) []*document.Document {
	t.Helper()
	documents, err := document.Read("f.yaml", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return documents
}

// TestRead holds which documents a stream has, and where.
func TestRead(t *testing.T) {
	const a, b = "apiVersion: v1\nkind: A\n", "apiVersion: v1\nkind: B\n"
	for _, c := range []struct{ name, text, want string }{
		{"one", a, "f.yaml"},
		{"nothing", "", ""},
		{"comments alone", "# a\n---\n# b\n", ""},
		{"two", a + "---\n" + b, "f.yaml, document 1 (line 1) f.yaml, document 2 (line 3)"},
		{"a header, and empty documents", "# licence\n---\n" + a + "---\n---\n# none\n---\n" + b + "---\n",
			"f.yaml, document 1 (line 1) f.yaml, document 2 (line 8)"},
		{"a header, and documents of comments alone", "# licence\n---\n# none\n---\n" + a + "---\n" + b,
			"f.yaml, document 1 (line 4) f.yaml, document 2 (line 7)"},
		{"Windows", strings.ReplaceAll(a+"---\n"+b, "\n", "\r\n"),
			"f.yaml, document 1 (line 1) f.yaml, document 2 (line 3)"},
		{"a mark of byte order", "\ufeff" + a, "f.yaml"},
		{"a comment beside the separator", a + "--- # second\n" + b,
			"f.yaml, document 1 (line 1) f.yaml, document 2 (line 3)"},
		{"a document beside the separator", a + "--- {apiVersion: v1, kind: B}\n",
			"f.yaml, document 1 (line 1) f.yaml, document 2 (line 3)"},
		{"dashes in a text", "apiVersion: v1\nkind: A\ntext: |\n  ---\n  x\n", "f.yaml"},
		{"dashes of another sort", "apiVersion: v1\nkind: A\n---x: y\n", "f.yaml"},
		{"JSON", `{"apiVersion":"v1","kind":"A"}`, "f.yaml"},
		{"JSON, one after another",
			"{\"apiVersion\":\"v1\",\"kind\":\"A\"}\n{\"apiVersion\":\"v1\",\n\"kind\":\"B\"}\n",
			"f.yaml, document 1 (line 1) f.yaml, document 2 (line 1)"},
		{"JSON between YAML", a + "---\n{\"apiVersion\":\"v1\",\"kind\":\"A\"}\n---\n" + b,
			"f.yaml, document 1 (line 1) f.yaml, document 2 (line 3) f.yaml, document 3 (line 5)"},
		{"a directive", "%YAML 1.1\n---\n" + a, "f.yaml"},
	} {
		var where []string
		text := ""
		for _, d := range read(t, c.text) {
			where = append(where, d.Where())
			text += string(d.Text)
			if objects, err := d.Objects(); err != nil || len(objects) != 1 {
				t.Errorf("%s: %v %v", c.name, objects, err)
			}
		}
		if got := strings.Join(where, " "); got != c.want {
			t.Errorf("%s: got  %q\nwant %q", c.name, got, c.want)
		}
		if !strings.HasPrefix(strings.TrimPrefix(c.text, "\ufeff"), strings.TrimSuffix(text, "\n")) &&
			!strings.HasPrefix(c.name, "a header, and ") {
			t.Errorf("%s: the texts are not the file's: %q", c.name, text)
		}
	}
}

// TestReadSays holds what is said of a file that is not right: file, document,
// line and what is wrong, in one line.
func TestReadSays(t *testing.T) {
	const a = "apiVersion: v1\nkind: A\n---\n"
	for _, c := range []struct{ text, want string }{
		{a + "kind: B\n  a: b\n",
			`f.yaml, document 2 (line 3): not well-formed: line 5: mapping values are not allowed in this context`},
		{a + "apiVersion: v1\nkind: B\nkind: C\n",
			`f.yaml, document 2 (line 3): not well-formed: line 6: key "kind" already set in map`},
		{`{"apiVersion":"v1","kind":"A","kind":"B"}`, `f.yaml: not well-formed: duplicate field "kind"`},
		{a + "a: \"b\n", `f.yaml, document 2 (line 3): not well-formed: line 5: found unexpected end of stream`},
		{a + "\ta: b\n", `f.yaml, document 2 (line 3): not well-formed: line 4: found character that cannot start any token`},
		{a + "- a\n", `f.yaml, document 2 (line 3): not a Kubernetes object: a list: put each object into a document of its own, or all into a ` +
			"`kind: List`"},
		{a + "just words\n", `f.yaml, document 2 (line 3): not a Kubernetes object: a text`},
		{a + "12\n", `f.yaml, document 2 (line 3): not a Kubernetes object: a single value`},
		{a + "null\n", `f.yaml, document 2 (line 3): not a Kubernetes object: nothing`},
		{"a: b\napiVersion: v1\n", `f.yaml: not a Kubernetes object: without kind`},
		{"kind: {}\napiVersion: v1\n", `f.yaml: not a Kubernetes object: without kind`},
		{"kind: A\n", `f.yaml: not a Kubernetes object: without apiVersion`},
		{"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1}]\n",
			`f.yaml: not a Kubernetes object: items/0 is without kind`},
		{"apiVersion: v1\nkind: List\nitems: [a]\n", `f.yaml: not a Kubernetes object: items/0 is a text`},
		{"apiVersion: v1\nkind: List\nitems: {}\n", `f.yaml: not a Kubernetes object: the items of a List are no list`},
		{"a: &a [x, x]\nb: &b [*a, *a]\nc: *nowhere\n", `f.yaml: not well-formed: unknown anchor 'nowhere' referenced`},
	} {
		documents, err := document.Read("f.yaml", strings.NewReader(c.text))
		for _, d := range documents {
			if err == nil {
				_, err = d.Objects()
			}
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestLists(t *testing.T) {
	const nested = `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"A"},` +
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v2","kind":"B"}]}]}`
	for text, want := range map[string]string{
		nested: "v1/A /items/0, v2/B /items/1/items/0",
		`{"apiVersion":"tekton.dev/v1","kind":"TaskRunList","items":[{"spec":{}}]}`: "tekton.dev/v1/TaskRun /items/0",
		`{"apiVersion":"v1","kind":"List","items":null}`:                            "",
		`{"apiVersion":"v1","kind":"ConfigMapList"}`:                                "v1/ConfigMapList ",
		`{"apiVersion":"example.dev/v1","kind":"Things","items":[1]}`:               "example.dev/v1/Things ",
	} {
		objects, err := read(t, text)[0].Objects()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range objects {
			got = append(got, fmt.Sprintf("%v/%v %s", o.Fields["apiVersion"], o.Fields["kind"], o.Pointer))
			var raw map[string]any
			if err := json.Unmarshal(o.Raw, &raw); err != nil || raw["kind"] != o.Fields["kind"] {
				t.Errorf("the raw object is %s", o.Raw)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yml", "a.yaml", "c.json", "x.txt", ".tekton/run.yaml", ".git/config.yaml",
		"sub/d.yaml"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: A\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := document.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i], _ = filepath.Rel(dir, files[i])
	}
	if want := []string{".tekton/run.yaml", "a.yaml", "b.yml", "c.json", "sub/d.yaml"}; !slices.Equal(files, want) {
		t.Errorf("got %v, want %v", files, want)
	}
	if one, err := document.Files(filepath.Join(dir, "x.txt")); err != nil || len(one) != 1 {
		t.Errorf("a file that is named is read, whatever it is called: got %v %v", one, err)
	}
	_, err = document.Files(filepath.Join(dir, "none"))
	if want := "reading " + filepath.Join(dir, "none") + ": no such file or directory"; err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	documents, err := document.ReadFile("-", strings.NewReader("apiVersion: v1\nkind: A\n"))
	if err != nil || len(documents) != 1 || documents[0].Where() != "standard input" {
		t.Errorf("got %v %v", documents, err)
	}
}

// TestEdit holds that what is not changed keeps its comments, order and style.
func TestEdit(t *testing.T) {
	const plain = `# about the run
apiVersion: tekton.dev/v1
kind: TaskRun # a comment
metadata:
  generateName: build-
spec:
  taskSpec:
    steps:
    # builds
    - name: "build"
      image: 'gcr.io/kaniko-project/executor:v1.24.0' # pinned
      args: [--destination=x, "on"]
    - {name: other, image: a}
`
	for _, c := range []struct{ name, before, patch, after string }{
		{"a step's env and the account", plain,
			`[{"op":"add","path":"/spec/taskSpec/steps/0/env","value":[{"name":"DOCKER_CONFIG","value":"/tekton/creds/.docker"}]},
			  {"op":"add","path":"/spec/serviceAccountName","value":"yes"},
			  {"op":"add","path":"/metadata/annotations","value":{"a.b/c":"1"}},
			  {"op":"replace","path":"/spec/taskSpec/steps/0/image","value":"registry.example.com/executor:v1.24.0"},
			  {"op":"add","path":"/spec/taskSpec/steps/1/args","value":["x"]}]`,
			`# about the run
apiVersion: tekton.dev/v1
kind: TaskRun # a comment
metadata:
  generateName: build-
  annotations:
    a.b/c: "1"
spec:
  taskSpec:
    steps:
    # builds
    - name: "build"
      image: 'registry.example.com/executor:v1.24.0' # pinned
      args: [--destination=x, "on"]
      env:
      - name: DOCKER_CONFIG
        value: /tekton/creds/.docker
    - {name: other, image: a, args: [x]}
  serviceAccountName: "yes"
`},
		{"indented lists, a separator with a comment", "--- # first\nspec:\n  steps:\n    - a: b\n",
			`[{"op":"add","path":"/spec/steps/1","value":{"c":1}},{"op":"remove","path":"/spec/steps/0/a"}]`,
			"---\n# first\nspec:\n  steps:\n    - {}\n    - c: 1\n"},
		{"Windows", "---\r\nspec:\r\n  a: b\r\n", `[{"op":"add","path":"/spec/c~1d","value":null}]`,
			"---\r\nspec:\r\n  a: b\r\n  c/d: null\r\n"},
		{"an anchor, which must not carry the change along", "a: &x\n  b: c\nd: *x\n",
			`[{"op":"add","path":"/d/e","value":1}]`, "a:\n  b: c\nd:\n  b: c\n  e: 1\n"},
		{"an anchor beside the change", "a: &x\n  b: c\nd: *x\n", `[{"op":"add","path":"/e","value":1}]`,
			"a: &x\n  b: c\nd: *x\ne: 1\n"},
		{"the place that an anchor repeats", "a: &x\n  b: c\nd: *x\n", `[{"op":"add","path":"/a/e","value":1}]`,
			"a:\n  b: c\n  e: 1\nd:\n  b: c\n"},
		{"what is put before, after and between", "a: [x, v] # c\nb:\n- one # first\n- three\n",
			`[{"op":"add","path":"/a/0","value":"w"},{"op":"add","path":"/a/3","value":"z"},{"op":"add","path":"/b/1","value":{"two":2}}]`,
			"a: [w, x, v, z] # c\nb:\n- one # first\n- two: 2\n- three\n"},
		{"another type", "a: x # c\nb: {c: d}\n",
			`[{"op":"replace","path":"/a","value":{"x":null}},{"op":"replace","path":"/b","value":[1.5,true]}]`,
			"a:\n  x: null\nb:\n- 1.5\n- true\n"},
		{"a merge", "a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n", `[{"op":"add","path":"/b/z","value":3}]`,
			"a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n  z: 3\n"},
		{"an item of a list",
			"apiVersion: v1\nkind: List\nitems:\n# first\n- kind: A\n  apiVersion: v1\n- apiVersion: v1\n  kind: B # second\n",
			`[{"op":"add","path":"/spec","value":"x"}]`,
			"apiVersion: v1\nkind: List\nitems:\n# first\n- kind: A\n  apiVersion: v1\n- apiVersion: v1\n  kind: B # second\n  spec: x\n"},
		{"JSON", `{"b":1,"a":["<x>",12345678901234567890]}`, `[{"op":"remove","path":"/b"}]`,
			"{\n  \"a\": [\n    \"<x>\",\n    12345678901234567890\n  ]\n}\n"},
	} {
		d := read(t, c.before)[0]
		o := &document.Object{Document: d, Raw: d.JSON}
		if objects, err := d.Objects(); err == nil {
			o = objects[len(objects)-1]
		}
		edited, err := d.Edit(document.Change{Object: o, Fields: patched(t, o.Raw, c.patch)})
		if err != nil {
			t.Fatal(err)
		}
		if string(edited.After) != c.after {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, edited.After, c.after)
		}
	}
	// Before is what it was, where the style of the file is the writer's.
	d := read(t, plain)[0]
	edited, err := d.Edit()
	if err != nil || string(edited.Before) != plain || string(edited.After) != plain {
		t.Errorf("got\n%s\n%v", edited.Before, err)
	}
}

// patched applies a patch by another implementation.
func patched(t *testing.T, raw []byte, patch string) map[string]any {
	t.Helper()
	operations, err := evanphx.DecodePatch([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	after, err := operations.Apply(raw)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := object.Decode(after)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}
