package image_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
)

// TestDocs holds the tables of docs/mirrors.md to the code. With -update it
// writes them there.
func TestDocs(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "mirrors.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for name, table := range map[string]string{"presets": presetTable(t), "layouts": layoutTable(t),
		"placeholders": placeholderTable()} {
		head := "<!-- " + name + ": checked by a test -->\n"
		before, rest, found := strings.Cut(page, head)
		_, after, closed := strings.Cut(rest, "<!-- end -->")
		if !found || !closed {
			t.Fatalf("%s has no place for the %s", path, name)
		}
		page = before + head + table + "<!-- end -->" + after
	}
	golden.Equal(t, path, []byte(page))
}

func presetTable(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| preset | what it is | pipeline's controller is there |\n|---|---|---|\n")
	for _, p := range image.Presets {
		fmt.Fprintf(&table, "| `%s` | %s | `%s` |\n", p.Name, p.Doc, goesTo(t, image.Mirror{Preset: p.Name}))
	}
	return table.String()
}

func layoutTable(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| layout | what it is | example |\n|---|---|---|\n")
	for i, l := range image.Layouts {
		isDefault := ""
		if i == 0 {
			isDefault = " (default)"
		}
		fmt.Fprintf(
			&table,
			"| `%s`%s | %s | `%s` |\n",
			l.Name,
			isDefault,
			l.Doc,
			goesTo(t, image.Mirror{Registry: "registry.example.com/t", Layout: l.Name}),
		)
	}
	return table.String()
}

func placeholderTable() string {
	var table strings.Builder
	table.WriteString("  | placeholder | stands for |\n  |---|---|\n")
	for _, p := range image.Placeholders {
		fmt.Fprintf(&table, "  | `%s` | %s |\n", p.Name, p.Doc)
	}
	return table.String()
}

// documented is the image in the tables: that of the newest release in the program.
const documented = "ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.15.1"

func goesTo(t *testing.T, m image.Mirror) string {
	t.Helper()
	rules, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	done, err := rules.Rewrite(parse(t, documented))
	if err != nil {
		t.Fatal(err)
	}
	return done.To.String()
}
