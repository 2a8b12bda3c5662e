package cli_test

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

// verb returns a command that reports the command line that it was given.
func verb(report func(*cobra.Command)) *cobra.Command {
	aliases := []string{"upgrade"}
	cmd := &cobra.Command{Use: "install", Aliases: aliases, RunE: func(cmd *cobra.Command, _ []string) error {
		report(cmd)
		return nil
	}}
	f := cmd.Flags()
	f.String("config", "", "")
	f.String("context", "", "")
	f.String("save", "", "")
	f.StringArray("pipeline-manifest", nil, "")
	f.Bool("wait", true, "")
	f.BoolP("yes", "y", false, "")
	f.Duration("timeout", 0, "")
	return cmd
}

// words splits a command line as a shell does.
func words(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestCommandLine(t *testing.T) {
	for name, tt := range map[string]struct {
		args, want []string
		note       string
	}{
		"no flags":       {[]string{"install"}, []string{"install"}, ""},
		"an alias":       {[]string{"upgrade", "-y"}, []string{"upgrade", "--yes"}, ""},
		"booleans":       {[]string{"install", "--wait=false", "--yes"}, []string{"install", "--wait=false", "--yes"}, ""},
		"a default":      {[]string{"install", "--wait"}, []string{"install", "--wait"}, ""},
		"a duration":     {[]string{"install", "--timeout", "90s"}, []string{"install", "--timeout", "1m30s"}, ""},
		"spaces, quotes": {[]string{"install", "--config", "it's $HOME.yaml"}, []string{"install", "--config", "it's $HOME.yaml"}, ""},
		"an empty value": {[]string{"install", "--context", ""}, []string{"install", "--context", ""}, ""},
		"repeated": {[]string{"install", "--pipeline-manifest", "a,b", "--pipeline-manifest", "c"},
			[]string{"install", "--pipeline-manifest", "a,b", "--pipeline-manifest", "c"}, ""},
		"left out": {[]string{"install", "--save", "x"}, []string{"install"}, ""},
		"standard input": {[]string{"install", "--pipeline-manifest", "-"}, []string{"install", "--pipeline-manifest", "-"},
			"--pipeline-manifest was read from standard input: pass the same input again, or name a file that has it"},
		"a secret": {[]string{"install", "--pipeline-manifest", "https://me:hunter2@example.com/r.yaml?token=hunter3"},
			[]string{"install", "--pipeline-manifest", "https://example.com/r.yaml"},
			"--pipeline-manifest is shown without its password or query: write them in again"},
	} {
		t.Run(name, func(t *testing.T) {
			var line string
			var notes []string
			root := cli.Root(verb(func(cmd *cobra.Command) { line, notes = cli.CommandLine(cmd, "save") }))
			if err := cli.Run(t.Context(), root, tt.args, cli.Streams{}); err != nil {
				t.Fatal(err)
			}
			if got := words(t, line); !slices.Equal(got, append([]string{"tekgate"}, tt.want...)) {
				t.Errorf("the command line is %q, which a shell takes for %q", line, got)
			}
			if got := strings.Join(notes, "\n"); got != tt.note {
				t.Errorf("the notes are %q", got)
			}
			if strings.Contains(line, "hunter") {
				t.Errorf("the command line has a secret: %s", line)
			}
		})
	}
}

func TestSibling(t *testing.T) {
	var line string
	root := cli.Root(verb(func(cmd *cobra.Command) { line = cli.Sibling(cmd, "rollback", "context", "wait") }))
	args := []string{"install", "--context", "a b", "--config", "c", "--wait=false"}
	err := cli.Run(t.Context(), root, args, cli.Streams{})
	if want := "tekgate rollback --context 'a b' --wait=false"; err != nil || line != want {
		t.Errorf("the command line is %q, want %q (error %v)", line, want, err)
	}
}

func TestPrintError(t *testing.T) {
	failed := errors.New("it broke")
	for _, tt := range []struct {
		err  error
		want string
	}{
		{failed, "tekgate: it broke\n"},
		{cli.Stopped(failed, cli.Next{Resume: "tekgate install"}),
			"tekgate: it broke\nnothing was changed; to try again:\n  tekgate install\n"},
		{cli.Stopped(failed, cli.Next{
			Changed: true, Resume: "tekgate install", Rollback: "tekgate uninstall", Notes: []string{"a note"},
		}),
			"tekgate: it broke\nto resume:\n  tekgate install\nto roll back:\n  tekgate uninstall\na note\n"},
	} {
		var out bytes.Buffer
		cli.PrintError(cli.Root(), &out, tt.err)
		if out.String() != tt.want {
			t.Errorf("it prints\n%s\nwant\n%s", &out, tt.want)
		}
	}
}
