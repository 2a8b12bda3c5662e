package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
)

// TestReference holds docs/cli.md to the commands, and its list of presets to
// the presets.
func TestReference(t *testing.T) {
	var text bytes.Buffer
	text.WriteString("# The command line\n\nWritten from the code by `make generate`.\n\n")
	for _, cmd := range commands(root()) {
		if !cmd.IsAvailableCommand() && cmd.HasParent() {
			continue
		}
		if cmd.Short == "" || cmd.HasParent() && cmd.Long == "" {
			t.Errorf("command %s is not documented", cmd.CommandPath())
		}
		cmd.DisableAutoGenTag = true
		if err := doc.GenMarkdownCustom(cmd, &text, func(name string) string {
			return "#" + strings.ReplaceAll(strings.TrimSuffix(name, ".md"), "_", "-")
		}); err != nil {
			t.Fatal(err)
		}
	}
	text.WriteString("## Presets of `--mirror`\n\n")
	for _, p := range image.Presets {
		text.WriteString("- `" + p.Name + "`: " + p.Doc + "\n")
	}
	golden.Equal(t, filepath.Join("..", "..", "docs", "cli.md"), text.Bytes())
}

// commands lists a command and all below it.
func commands(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		list = append(list, commands(sub)...)
	}
	return list
}
