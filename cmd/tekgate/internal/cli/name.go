package cli

import (
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// product is the program's own name, which texts have in front of verbs.
const product = "tekgate"

// Name is the name by which the program was called. tkn runs tkn-tekgate for `tkn tekgate`, and
// kubectl runs kubectl-tekgate for `kubectl tekgate`: both are links to the one program.
type Name struct {
	// File is the name of the file that was called, for which shells have completions.
	File string
	// Shown is what users type, such as "kubectl tekgate".
	Shown string
	// Completes reports whether kubectl asks for the completions of its plugin. It runs
	// kubectl_complete-tekgate with the words of the command line.
	Completes bool
}

// completer is the file that kubectl runs for the completions of the plugin.
const completer = "kubectl_complete-tekgate"

// Called returns the name by which the program was called, of the first word of its command line.
// Any other file than the plugins' counts as tekgate.
func Called(path string) Name {
	switch base := strings.TrimSuffix(filepath.Base(path), ".exe"); base {
	case "tkn-tekgate", "kubectl-tekgate":
		return Name{File: base, Shown: strings.Replace(base, "-", " ", 1)}
	case completer:
		return Name{File: "kubectl-tekgate", Shown: "kubectl tekgate", Completes: true}
	}
	return Name{File: product, Shown: product}
}

// Args returns the words of the command line to execute.
func (n Name) Args(words []string) []string {
	if n.Completes {
		return append([]string{cobra.ShellCompRequestCmd}, words...)
	}
	return words
}

// Apply gives the whole command tree the name, in usage texts, examples, errors and completions.
func (n Name) Apply(root *cobra.Command) {
	if n.Shown == product {
		return
	}
	root.Use = n.File
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: n.Shown}
	rename(root, renamer(root))
}

// rename changes the texts of a command and of those below it.
func rename(cmd *cobra.Command, text func(string) string) {
	cmd.Short, cmd.Long, cmd.Example = text(cmd.Short), text(cmd.Long), text(cmd.Example)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Usage = text(f.Usage) })
	for _, sub := range cmd.Commands() {
		rename(sub, text)
	}
}

// renamer returns a function that replaces the name of the program in a text by the name by which
// it was called, wherever a verb follows it. It returns nil if that is tekgate itself. A name that a
// text has already stays, and so do the remarks TODO(tekgate migrate), which are in files.
func renamer(root *cobra.Command) func(string) string {
	shown := root.DisplayName()
	if shown == product {
		return nil
	}
	verbs := []string{"--version"}
	for _, verb := range root.Commands() {
		verbs = append(verbs, regexp.QuoteMeta(verb.Name()))
	}
	slices.SortFunc(verbs, func(a, b string) int { return len(b) - len(a) }) // upgrade, not up
	const before = `(?m)(kubectl |tkn |^|TODO\(|[^\w./-])`
	command := regexp.MustCompile(before + product + ` (` + strings.Join(verbs, "|") + `)\b`)
	return func(text string) string {
		return command.ReplaceAllStringFunc(text, func(found string) string {
			for _, other := range []string{"TODO(", "kubectl ", "tkn "} {
				if strings.HasPrefix(found, other) {
					return found
				}
			}
			return strings.Replace(found, product+" ", shown+" ", 1)
		})
	}
}

// stream is a stream of a program that was called by another name. It passes on what is written, for
// programs, as it is.
type stream struct {
	io.Writer
	text func(string) string
}

// forUsers is a stream that renames the program in what is written. Each line is written at once.
type forUsers struct{ stream }

func (s forUsers) Write(text []byte) (int, error) {
	if _, err := io.WriteString(s.Writer, s.text(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// ForUsers returns a stream for text that users read, in which commands have the name by which the
// program was called.
func ForUsers(out io.Writer) io.Writer {
	if s, ok := out.(stream); ok {
		return forUsers{s}
	}
	return out
}

// Plain returns the stream itself, such as the terminal that it is.
func Plain(out io.Writer) io.Writer {
	switch s := out.(type) {
	case stream:
		return s.Writer
	case forUsers:
		return s.Writer
	}
	return out
}
