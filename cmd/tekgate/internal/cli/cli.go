// Package cli has what all verbs of the command line share: streams, output formats,
// exit statuses and texts.
package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// Root returns a root command with the given verbs. Errors are returned, not printed.
func Root(verbs ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{Use: product, SilenceUsage: true, SilenceErrors: true}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: `%s --help` lists the flags", err, cmd.CommandPath())
	})
	root.AddCommand(verbs...)
	return root
}

// Run executes one command line.
func Run(ctx context.Context, root *cobra.Command, args []string, s Streams) error {
	if text := renamer(root); text != nil {
		s.Out, s.ErrOut = stream{s.Out, text}, forUsers{stream{s.ErrOut, text}}
	}
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.ErrOut)
	return root.ExecuteContext(ctx)
}

// Streams are where a command reads and prints: results go to Out, for programs, and
// messages to ErrOut, for the user.
type Streams struct {
	In     io.Reader
	Out    io.Writer
	ErrOut io.Writer
}

// StreamsOf returns the streams of a command.
func StreamsOf(cmd *cobra.Command) Streams {
	return Streams{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), ErrOut: cmd.ErrOrStderr()}
}

// Warn prints a warning.
func (s Streams) Warn(warning any) { fmt.Fprintln(s.ErrOut, "warning:", warning) }

// CanAsk reports whether a user can answer a question.
func (s Streams) CanAsk() bool { return IsTerminal(s.In) }

// Ask prints a question, and returns the answer without the spaces around it.
func (s Streams) Ask(question string) string {
	fmt.Fprint(s.ErrOut, question)
	answer, _ := bufio.NewReader(s.In).ReadString('\n')
	return strings.TrimSpace(answer)
}

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	if out, is := stream.(io.Writer); is {
		stream = Plain(out)
	}
	file, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}
