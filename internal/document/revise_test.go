package document_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/object"
)

// styles are documents that an encoder would write otherwise: folded and quoted texts, comments beside
// values, blank lines, lists indented and not, flow mappings.
var styles = map[string]string{
	"a literal at the end":       "apiVersion: old # why\nkind: Task\nspec:\n  text: >-\n    one\n    two\n  args: [--a=b:1,   'c']\n  script: |\n    #!/bin/sh\n    echo done\n",
	"a literal of its own depth": "apiVersion: old\nkind: Task\n\nspec:\n    steps:\n        - name:   a\n          script: |2\n              x\n            y\n",
	"a folded text at the end":   "apiVersion: 'old'\nkind: \"Task\"\nspec:\n  - &a {b:   c}\n  - >\n    one\n    two\n",
	"a kept text at the end":     "apiVersion: old\nkind: Task\nspec:\n  text: |+\n    one\n\n    two\n",
	"a stripped text at the end": "apiVersion: old\nkind: Task\nspec: {text: [a,\n  b]}\nscript: |-   # comment\n  one\n",
	"blanks before comments":     "apiVersion:  old     # why\nkind: Task   # what\nspec:\n  text: 'a   b'   # two\n",
	"a comment at the end":       "apiVersion: old\nkind: Task\nspec:\n- a\n-   b\n# the end\n",
	"a separator and a comment":  "---\n# head\napiVersion: old\nkind: Task\nscript: |\n  a | b\n  c >\n",
}

// TestReviseChangesNothingElse holds that a change of one line changes one line, with and without a newline
// at the end, and with lines that end as on Windows.
func TestReviseChangesNothingElse(t *testing.T) {
	for name, style := range styles {
		for ending, text := range map[string]string{
			"":                     style,
			" without its newline": strings.TrimSuffix(style, "\n"),
			" on Windows":          strings.ReplaceAll(style, "\n", "\r\n"),
		} {
			o := single(t, text)
			fields, err := object.Decode(o.Raw)
			if err != nil {
				t.Fatal(err)
			}
			fields["apiVersion"] = "new"
			revised, err := o.Document.Revise(document.Change{Object: o, Fields: fields})
			if want := strings.Replace(text, "old", "new", 1); err != nil || string(revised) != want {
				t.Errorf("%s%s: got %q and %v, want %q", name, ending, revised, err, want)
			}
		}
	}
}

// TestReviseAddsBelowTheEnd holds that a line below a text without a newline at its end leaves all lines
// but the text's header as they are.
func TestReviseAddsBelowTheEnd(t *testing.T) {
	for name, style := range styles {
		if strings.Contains(name, "kept") || strings.Contains(name, "folded") {
			continue // there the newline belongs to the text, or the list would go on
		}
		text := strings.TrimSuffix(style, "\n")
		o := single(t, text)
		fields, err := object.Decode(o.Raw)
		if err != nil {
			t.Fatal(err)
		}
		fields["zzz"] = "new"
		revised, err := o.Document.Revise(document.Change{Object: o, Fields: fields})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		kept := 0
		for line := range strings.Lines(text) {
			if strings.Contains(string(revised), line) {
				kept++
			}
		}
		if lines := strings.Count(text, "\n") + 1; kept < lines-1 || !strings.Contains(string(revised), "zzz: new") {
			t.Errorf("%s: %d of %d lines are kept:\n%s", name, kept, lines, revised)
		}
	}
}

// single returns the one object of a text.
func single(t *testing.T, text string) *document.Object {
	t.Helper()
	objects, err := read(t, text)[0].Objects()
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	return objects[0]
}

// TestMergeKeys holds that a key beside a merge key may override a merged one, as for kubectl, and that
// two keys of one name are still an error.
func TestMergeKeys(t *testing.T) {
	const base = "base: &base {name: a, image: i}\nother: &other {name: b, tag: t}\n"
	for text, want := range map[string]string{
		"use: {<<: *base, name: c}\n":             `"use":{"image":"i","name":"c"}`,
		"use:\n  <<: *base\n  name: c\n":          `"use":{"image":"i","name":"c"}`,
		"use:\n  <<: [*base, *other]\n":           `"use":{"image":"i","name":"a","tag":"t"}`,
		"use:\n- <<: *base\n  name: c\n":          `"use":[{"image":"i","name":"c"}]`,
		"use:\n  <<: *base\n  script: \"<<\"\n":   `"script":"\u003c\u003c"`,
		"use: {<<: *base, name: c, name: d}\n":    "",
		"use: {<<: *base}\nuse: {a: b}\n":         "",
		"script: |\n  cat <<EOF\na: 1\na: 2\n":    "",
		"use: {<<: *base, <<: *other}\nscript: a": "",
	} {
		documents, problems := document.Parse("a.yaml", []byte(base+text))
		switch {
		case want == "" && len(problems) == 0:
			t.Errorf("%q: got no error but %s", text, documents[0].JSON)
		case want != "" && len(problems) > 0:
			t.Errorf("%q: %v", text, problems[0])
		case want != "" && !strings.Contains(string(documents[0].JSON), want):
			t.Errorf("%q: got %s, want %s in it", text, documents[0].JSON, want)
		}
	}
}
