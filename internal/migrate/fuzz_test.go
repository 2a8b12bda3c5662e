package migrate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aymanbagabas/go-udiff"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/migrate"
)

// FuzzFiles holds of any text that it is converted without a panic, that what comes of a
// text that can be read can be read, that no document gets lost but those that become
// comments, and that converting again changes nothing.
func FuzzFiles(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*/input.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, input := range inputs {
		text, err := os.ReadFile(input)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(holds)
}

// holds checks what FuzzFiles says of one text.
func holds(t *testing.T, text []byte) {
	t.Helper()
	before, broken := document.Parse("f.yaml", text)
	out, notes := migrate.Files([]migrate.File{{Name: "f.yaml", Text: text}}, migrate.Defaults())
	after, problems := document.Parse("f.yaml", out[0].Text)
	if len(problems) > len(broken) {
		t.Errorf("cannot be read any more: %v\n%s", problems[0], out[0].Text)
	}
	removed := 0
	for _, n := range notes {
		if n.Kind == "PipelineResource" {
			removed++
		}
	}
	if len(after) < len(before)-removed {
		t.Errorf("%d documents became %d:\n%s", len(before), len(after), out[0].Text)
	}
	twice, _ := migrate.Files(out, migrate.Defaults())
	if string(twice[0].Text) != string(out[0].Text) {
		t.Errorf("migrating again changes\n%s",
			udiff.Unified("once", "twice", string(out[0].Text), string(twice[0].Text)))
	}
}
