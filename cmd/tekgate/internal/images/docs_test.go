package images

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
)

// TestDocs compares the table of formats in docs/mirrors.md with the code. With -update it
// writes the table.
func TestDocs(t *testing.T) {
	path := filepath.Join("..", "..", "..", "..", "docs", "mirrors.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const head = "<!-- formats: checked by a test -->\n"
	before, rest, found := strings.Cut(string(text), head)
	_, after, closed := strings.Cut(rest, "<!-- end -->")
	if !found || !closed {
		t.Fatalf("%s has no place for the formats", path)
	}
	var table strings.Builder
	table.WriteString("| format | fills the mirror | renames images | digests | platforms | signatures |\n" +
		"|---|---|---|---|---|---|\n")
	for _, f := range exportFormats {
		fills := "no"
		if f.fills {
			fills = "yes"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s | %s |\n", f.name, fills, f.keeps.renames, f.keeps.digests,
			f.keeps.platforms, f.keeps.signatures)
	}
	golden.Equal(t, path, []byte(before+head+table.String()+"<!-- end -->"+after))
}
