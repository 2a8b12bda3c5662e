package document_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/object"
)

const listener = `# a header
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata:
  name: push
  annotations:
    a.b/c: "x"
    plain: y
spec:
  triggers:
  - name: first
    bindings:
      - ref: one
      - {ref: two, kind: TriggerBinding}
    template: {ref: t}
  - &second
    name: second
    script: |
      line
  - <<: *second
    own: z
  - *second
`

// TestPosition holds where a path is.
func TestPosition(t *testing.T) {
	const apart = "kind: A\n---\n"
	const list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n- apiVersion: v1\n  kind: B\n  spec:\n    a: [1,\n      {b: 2}]\n"
	const asJSON = "{\"apiVersion\": \"v1\", \"kind\": \"A\",\n\t\"text\": \"\\ud83d\\ude00 \\\\ud83d\", \"spec\": {\n\t\"a\": [{\"b/c\": 1}]}}"
	for _, c := range []struct {
		name, text, path string
		want             string // line:column
	}{
		{"value beside its key", listener, "metadata.name", "5:9"},
		{"key in brackets", listener, "metadata.annotations[a.b/c]", "7:12"},
		{"plain key in brackets", listener, "metadata.annotations[plain]", "8:12"},
		{"mapping below its key", listener, "spec", "9:1"},
		{"list below its key", listener, "spec.triggers", "10:3"},
		{"item", listener, "spec.triggers[0]", "11:5"},
		{"field of an item", listener, "spec.triggers[0].bindings[0].ref", "13:14"},
		{"flow mapping", listener, "spec.triggers[0].bindings[1]", "14:9"},
		{"field in a flow mapping", listener, "spec.triggers[0].bindings[1].kind", "14:26"},
		{"flow mapping beside its key", listener, "spec.triggers[0].template", "15:15"},
		{"missing in a flow mapping", listener, "spec.triggers[0].template.name", "15:5"},
		{"missing in an item", listener, "spec.triggers[0].interceptors[0].ref", "11:5"},
		{"missing in a mapping", listener, "metadata.labels[a.b/c]", "4:1"},
		{"missing item", listener, "spec.triggers[9].template.ref", "10:3"},
		{"no number for an item", listener, "spec.triggers.name", "10:3"},
		{"block of text", listener, "spec.triggers[1].script", "18:13"},
		{"through a merge key", listener, "spec.triggers[2].script", "18:13"},
		{"beside a merge key", listener, "spec.triggers[2].own", "21:10"},
		{"through an anchor", listener, "spec.triggers[3].name", "17:11"},
		{"the object", listener, "", "2:1"},
		{"a dot at the end", listener, "metadata.", "4:1"},
		{"below a text", listener, "metadata.name.x", "5:3"},
		{"Windows", strings.ReplaceAll(listener, "\n", "\r\n"), "spec.triggers[0].bindings[1].kind", "14:26"},
		{"mark of byte order", "\ufeffkind: A\nspec: {a: 1}\n", "spec.a", "2:11"},
		{"mark of byte order, first line", "\ufeffkind: A\n", "kind", "1:7"},
		{"second document", apart + "kind: B\nspec:\n  a: 1\n", "spec.a", "5:6"},
		{"second document beside its separator", "kind: A\n--- {kind: B, a: 1}\n", "a", "2:18"},
		{"other letters", "kind: A\nspec: {ä: 世界, b: 2}\n", "spec.b", "2:18"},
		{"item of a List", list, "items[1].spec.a[1].b", "10:11"},
		{"JSON", asJSON, "spec.a[0][b/c]", "3:16"},
		{"JSON, second line", asJSON, "text", "2:10"},
		{"JSON, missing", asJSON, "spec.a[0].c", "3:8"},
		{"JSON value on the line of another", "{\"kind\":\"A\"} {\"kind\":\"B\",\"a\":1}", "a", "1:30"},
		{"JSON value after another, later line", "{\"kind\":\"A\"} {\"kind\":\"B\",\n\"a\":1}", "a", "2:5"},
		{"key with brackets", "kind: A\n\"a[0]\": {\"b]c\": 1}\n", "[a[0]].[b]c]", "2:17"},
	} {
		documents := read(t, c.text)
		line, column := documents[len(documents)-1].Position(c.path)
		if got := fmt.Sprintf("%d:%d", line, column); got != c.want {
			t.Errorf("%s: %s: got %s, want %s", c.name, c.path, got, c.want)
		}
	}
}

// TestPositionInList holds that a path of an item begins at the item.
func TestPositionInList(t *testing.T) {
	objects, err := read(t,
		"# x\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n- apiVersion: v1\n  kind: B\n  a: 1\n")[0].Objects()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]int{"a": {10, 6}, "b": {8, 3}, "": {8, 3}} {
		if line, column := objects[1].Position(path); line != want[0] || column != want[1] {
			t.Errorf("%q: got %d:%d, want %v", path, line, column, want)
		}
	}
	if line, column := objects[1].KeyPosition("a"); line != 10 || column != 3 {
		t.Errorf("the key is at %d:%d, want 10:3", line, column)
	}
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]string{
		"spec.a[0].b":                  "spec|a|0|b",
		"metadata.annotations[a.b/c]":  "metadata|annotations|a.b/c",
		"a[x[1]].b":                    "a|x[1]|b",
		"spec.t[0].spec[a b][c]":       "spec|t|0|spec|a b|c",
		"spec.":                        "spec",
		"spec.steps[-]":                "spec|steps|-",
		"broken[a.b":                   "broken|[a|b",
		"":                             "",
		"spec.resourcetemplates[0].[a": "spec|resourcetemplates|0|[a",
	} {
		if got := strings.Join(document.ParsePath(path), "|"); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

// TestOffset holds that the texts of the documents can be found again in the stream.
func TestOffset(t *testing.T) {
	for _, text := range []string{
		"\ufeffkind: A\n---\n# none\n---\nkind: B\n--- # c\n{kind: C}\n",
		"# licence\n---\nkind: A\n---\n---\nkind: B\n",
		"{\"kind\":\"A\"}\n{\"kind\":\"B\"} {\"kind\":\"C\"}\n---\nkind: D\n",
	} {
		documents, problems := document.Parse("f", []byte(text))
		if len(problems) > 0 {
			t.Errorf("%q: %v", text, problems)
		}
		for _, d := range documents {
			if got := text[d.Offset : d.Offset+len(d.Text)]; got != string(d.Text) {
				t.Errorf("%q: at %d is %q, not %q", text, d.Offset, got, d.Text)
			}
		}
	}
}

// TestParse holds that what is well-formed is read beside what is not.
func TestParse(t *testing.T) {
	const text = "kind: A\n---\nkind: B\n  a: b\n---\nkind: {{ .C }}\n---\nkind: D\n"
	documents, problems := document.Parse("f.yaml", []byte(text))
	if len(documents) != 2 || documents[1].Line != 7 || len(problems) != 2 {
		t.Fatalf("got %v %v", documents, problems)
	}
	if problems[0].Line != 4 || problems[1].Line < 5 || problems[1].Line > 6 {
		t.Errorf("got lines %d and %d: %v", problems[0].Line, problems[1].Line, problems)
	}
}

func TestComments(t *testing.T) {
	d := read(t, "x: y\n---\na: b # tekgate: ignore x why\n  # tekgate: ignore y\nc: '#tekgate: no'\nd: \"# tekgate:\" # not # tekgate:z\n")[1]
	want := []document.Comment{{3, 6, "ignore x why", false}, {4, 3, "ignore y", true}, {6, 23, "z", false}}
	got := d.Comments("tekgate:")
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func must(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	fields, err := object.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// TestRevise holds that nothing but the change changes.
func TestRevise(t *testing.T) {
	const text = "# head\n\nkind:   A   # odd spaces\n\n\nspec:\n    wide: 1\n    list:\n        - a\n\n        - b   # last\n    long: >-\n      folded\n      text\n\nend: 'x'\n"
	revised := strings.Replace(text, "wide: 1", "wide: 2", 1)
	for _, c := range []struct{ name, text, want string }{
		{"indented otherwise", text, revised},
		{"Windows", strings.ReplaceAll(text, "\n", "\r\n"), strings.ReplaceAll(revised, "\n", "\r\n")},
		{"separator", "---\n" + text, "---\n" + revised},
		{"JSON", "{\"kind\": \"A\",\n  \"spec\": {\"wide\": 1}}\n",
			"{\n  \"kind\": \"A\",\n  \"spec\": {\n    \"wide\": 2\n  }\n}\n"},
	} {
		d := read(t, c.text)[0]
		o := &document.Object{Document: d}
		fields := must(t, d.JSON)
		fields["spec"].(map[string]any)["wide"] = must(t, []byte(`{"n":2}`))["n"]
		got, err := d.Revise(document.Change{Object: o, Fields: fields})
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v: got\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

// TestPositionOfAll holds that every text in the fixtures of the rules is found where
// it stands.
func TestPositionOfAll(t *testing.T) {
	looked := 0
	for _, folder := range []string{"../../validator/testdata", "../../mutator/testdata"} {
		files, err := document.Files(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			written := strings.Split(string(text), "\n")
			documents, _ := document.Parse(file, text)
			for _, d := range documents {
				if bytes.Contains(d.Text, []byte("&")) {
					continue // what comes through an anchor stands elsewhere
				}
				eachText(must(t, d.JSON), "", func(path, value string) {
					looked++
					line, column := d.Position(path)
					if !begins(written[line-1], column, value) {
						t.Errorf("%s: %s is not at %d:%d: %q", file, path, line, column, written[line-1])
					}
				})
			}
		}
	}
	if looked < 1000 {
		t.Errorf("only %d texts were looked for", looked)
	}
}

// begins tells whether a text, or the sign of one of several lines, stands at a column.
func begins(line string, column int, value string) bool {
	rest := string([]rune(line)[column-1:])
	word := strings.Fields(strings.Trim(value, "\"'"))
	return strings.HasPrefix(rest, "|") || strings.HasPrefix(rest, ">") || strings.HasPrefix(rest, `"`) ||
		strings.HasPrefix(rest, "'") ||
		len(word) == 0 || strings.HasPrefix(rest, word[0])
}

func eachText(value any, path string, visit func(path, value string)) {
	switch v := value.(type) {
	case string:
		visit(path, v)
	case []any:
		for i, item := range v {
			eachText(item, fmt.Sprintf("%s[%d]", path, i), visit)
		}
	case map[string]any:
		for key, inner := range v {
			eachText(inner, path+"["+key+"]", visit)
		}
	}
}

// TestReviseAll holds, for the fixtures of the rules, that one change of a name is one
// line of difference.
func TestReviseAll(t *testing.T) {
	looked := 0
	for _, folder := range []string{"../../validator/testdata", "../../mutator/testdata"} {
		files, err := document.Files(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			documents, _ := document.Parse(file, text)
			for _, d := range documents {
				fields := must(t, d.JSON)
				metadata, _ := fields["metadata"].(map[string]any)
				if _, named := metadata["name"].(string); !named || filepath.Ext(file) == ".json" {
					continue
				}
				looked++
				metadata["name"] = "changed"
				got, err := d.Revise(document.Change{Object: &document.Object{Document: d}, Fields: fields})
				if err != nil {
					t.Errorf("%s: %v", file, err)
					continue
				}
				if n := differing(string(d.Text), string(got)); n != 1 {
					t.Errorf("%s: %d lines differ in\n%s", file, n, got)
				}
			}
		}
	}
	if looked < 100 {
		t.Errorf("only %d documents were changed", looked)
	}
}

// differing counts the lines that are not the same, all of them if some are more.
func differing(a, b string) int {
	one, other := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(one) != len(other) {
		return max(len(one), len(other))
	}
	n := 0
	for i := range one {
		if one[i] != other[i] {
			n++
		}
	}
	return n
}
