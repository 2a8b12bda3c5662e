package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

func TestCalled(t *testing.T) {
	for path, want := range map[string]cli.Name{
		"tekgate":                        {File: "tekgate", Shown: "tekgate"},
		"/opt/tekgate-v1.2":              {File: "tekgate", Shown: "tekgate"},
		"":                               {File: "tekgate", Shown: "tekgate"},
		"/usr/bin/tkn-tekgate":           {File: "tkn-tekgate", Shown: "tkn tekgate"},
		"kubectl-tekgate.exe":            {File: "kubectl-tekgate", Shown: "kubectl tekgate"},
		"/bin/kubectl_complete-tekgate":  {File: "kubectl-tekgate", Shown: "kubectl tekgate", Completes: true},
		"/home/tkn-tekgate/bin/tekgate":  {File: "tekgate", Shown: "tekgate"},
		"/usr/bin/kubectl-tekgate-other": {File: "tekgate", Shown: "tekgate"},
	} {
		if got := cli.Called(path); got != want {
			t.Errorf("%q: got %+v, want %+v", path, got, want)
		}
	}
}

// speaking returns a program whose verb check prints and returns texts with commands.
func speaking() *cobra.Command {
	var output cli.Output
	check := &cobra.Command{
		Use: "check", Short: "Check", Long: "Ends where `tekgate status` begins. See TODO(tekgate migrate).",
		Example: "  # tekgate's own\n  tekgate check -o json | tekgate lint -\n  kubectl logs -n tekgate x",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s := cli.StreamsOf(cmd)
			s.Warn("run `tekgate install` (tekgate has no /opt/tekgate status)")
			if err := output.Print(s.Out, map[string]string{"run": "tekgate install"}, func(out io.Writer) error {
				_, err := fmt.Fprintln(out, "run `tekgate install`")
				return err
			}); err != nil {
				return err
			}
			return errors.New("it broke: `tekgate status` shows it")
		},
	}
	check.Flags().Bool("fix", false, "as `tekgate lint` does")
	output.Value(check, "table")
	verbs := []*cobra.Command{check}
	for _, name := range []string{"install", "lint", "migrate", "status"} {
		verbs = append(verbs, &cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	return cli.Root(verbs...)
}

// run runs a command line as main does, under a name.
func run(t *testing.T, path string, args ...string) (out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	name, root := cli.Called(path), speaking()
	name.Apply(root)
	if err := cli.Run(t.Context(), root, name.Args(args), cli.Streams{Out: &o, ErrOut: &e}); err != nil {
		cli.PrintError(root, &e, err)
	}
	return o.String(), e.String()
}

// TestNameInTexts holds that usage texts, messages and errors have the name by which the program was
// called, and that nothing else changes.
func TestNameInTexts(t *testing.T) {
	for path, name := range map[string]string{
		"tekgate": "tekgate", "/x/tkn-tekgate": "tkn tekgate", "/x/kubectl-tekgate": "kubectl tekgate",
	} {
		help, _ := run(t, path, "check", "--help")
		for _, want := range []string{
			"Ends where `" + name + " status` begins. See TODO(tekgate migrate).",
			"  # tekgate's own\n  " + name + " check -o json | " + name + " lint -\n  kubectl logs -n tekgate x",
			"\n  " + name + " check [flags]\n", "as " + name + " lint does",
		} {
			if !strings.Contains(help, want) {
				t.Errorf("called as %s: the help lacks %q:\n%s", path, want, help)
			}
		}
		out, errOut := run(t, path, "check")
		if want := "run `" + name + " install`\n"; out != want {
			t.Errorf("called as %s: printed %q, want %q", path, out, want)
		}
		want := "warning: run `" + name + " install` (tekgate has no /opt/tekgate status)\n" +
			name + ": it broke: `" + name + " status` shows it\n"
		if errOut != want {
			t.Errorf("called as %s: messages %q, want %q", path, errOut, want)
		}
		_, errOut = run(t, path, "chek")
		if want := name + `: unknown command "chek" for "` + name + `"`; !strings.HasPrefix(errOut, want) {
			t.Errorf("called as %s: error %q, want %q", path, errOut, want)
		}
		_, errOut = run(t, path, "check", "--nope")
		if want := name + ": unknown flag: --nope: `" + name + " check --help` lists the flags\n"; errOut != want {
			t.Errorf("called as %s: error %q, want %q", path, errOut, want)
		}
		// What programs read is the same under each name.
		out, _ = run(t, path, "check", "-o", "json")
		if want := "{\n  \"run\": \"tekgate install\"\n}\n"; out != want {
			t.Errorf("called as %s: JSON %q, want %q", path, out, want)
		}
	}
}

// TestNameInCompletions holds that a completion script is for the file that was called, and that
// kubectl's way to complete a plugin is answered.
func TestNameInCompletions(t *testing.T) {
	script, _ := run(t, "/x/kubectl-tekgate", "completion", "bash")
	if !strings.Contains(script, "complete -o default -F __start_kubectl-tekgate kubectl-tekgate") {
		t.Errorf("the script does not complete kubectl-tekgate:\n%.300s", script)
	}
	out, _ := run(t, "/x/kubectl_complete-tekgate", "ch")
	if !strings.HasPrefix(out, "check\tCheck\n") || !strings.HasSuffix(out, ":4\n") {
		t.Errorf("completing ch: got %q", out)
	}
}

// TestSecretFlag holds that no command line that is printed has the value of a secret flag.
func TestSecretFlag(t *testing.T) {
	var line, sibling string
	var notes []string
	cmd := verb(func(cmd *cobra.Command) {
		line, notes = cli.CommandLine(cmd)
		sibling = cli.Sibling(cmd, "rollback", "token", "context")
	})
	cmd.Flags().String("token", "", "")
	cli.Secret(cmd.Flags().Lookup("token"))
	args := []string{"install", "--token", "hunter2", "--context", "a"}
	if err := cli.Run(t.Context(), cli.Root(cmd), args, cli.Streams{}); err != nil {
		t.Fatal(err)
	}
	if line != "tekgate install --context a" || sibling != "tekgate rollback --context a" {
		t.Errorf("the command lines are %q and %q", line, sibling)
	}
	if strings.Join(notes, "") != "--token is not shown: pass it again" {
		t.Errorf("the notes are %q", notes)
	}
}
