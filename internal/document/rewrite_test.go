package document_test

import (
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tekgate/tekgate/internal/document"
)

// renamed renames the key `old` in all mappings of a tree, as an edit does.
func renamed(root *yaml.Node, _ bool) error {
	for i, child := range root.Content {
		if root.Kind == yaml.MappingNode && i%2 == 0 && child.Value == "old" {
			child.Value = "now"
		}
		if err := renamed(child, false); err != nil {
			return err
		}
	}
	return nil
}

// TestRewrite holds that what an edit leaves alone stays as it is written.
func TestRewrite(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"comments and blank lines", "# a\n\nb:   1 # b\n\n# c\nold: # d\n    - e\n",
			"# a\n\nb:   1 # b\n\n# c\nnow: # d\n    - e\n"},
		{"nothing to change", "a:   [1,2]\n", "a:   [1,2]\n"},
		{"an anchor", "a: &x {old: 1} # used below\nb: *x\n", "a: &x {now: 1} # used below\nb: *x\n"},
		{"a merge", "a: &x\n  old: 1\nb:\n  <<: *x\n  c: 2\n", "a: &x\n  now: 1\nb:\n  <<: *x\n  c: 2\n"},
		{"Windows", "a: 1\r\nold: 2\r\n", "a: 1\r\nnow: 2\r\n"},
		{"JSON", `{"a": 12345678901234567890, "old": null}`, "{\n  \"a\": 12345678901234567890,\n  \"now\": null\n}"},
		{"a separator", "---\nold: 1\n", "---\nnow: 1\n"},
	} {
		documents, err := document.Read("f.yaml", strings.NewReader(c.text))
		if err != nil || len(documents) != 1 {
			t.Fatalf("%s: %d documents, %v", c.name, len(documents), err)
		}
		got, err := documents[0].Rewrite(renamed)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

// TestRewriteUnlike holds that an anchor goes if the places that refer to it differ now.
func TestRewriteUnlike(t *testing.T) {
	d := read(t, "a: &x {old: 1}\nb: *x\n")[0]
	got, err := d.Rewrite(func(root *yaml.Node, _ bool) error { return renamed(root.Content[1], false) })
	if want := "a: {now: 1}\nb: {old: 1}\n"; err != nil || string(got) != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
}

// TestRewriteError holds that an edit's error is the result's.
func TestRewriteError(t *testing.T) {
	failed := errors.New("failed")
	_, err := read(t, "a: 1\n")[0].Rewrite(func(*yaml.Node, bool) error { return failed })
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

// TestCommented holds what becomes of a document that is made a comment.
func TestCommented(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "a: 1\n\n# b\nc:\n  d: |\n    # e\n", "# gone\n# a: 1\n\n# b\n# c:\n#   d: |\n#     # e\n"},
		{"after a comment", "# licence\na: 1\n", "# licence\n# gone\n# a: 1\n"},
		{"a separator", "---\na: 1\n", "---\n# gone\n# a: 1\n"},
		{"a separator with a comment", "--- # x\na: 1\n", "--- # x\n# gone\n# a: 1\n"},
		{"a separator with a value", "--- {a: 1}\n", "---\n# gone\n# {a: 1}\n"},
		{"Windows", "a: 1\r\nb: 2\r\n", "# gone\r\n# a: 1\r\n# b: 2\r\n"},
		{"without an end", "a: 1", "# gone\n# a: 1\n"},
	} {
		if got := string(read(t, c.text)[0].Commented("gone")); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
