package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// Next are the commands that go on from where a command stopped, for a shell.
type Next struct {
	// Changed reports whether the command changed anything before.
	Changed bool `json:"-"`
	// Resume goes on with the command.
	Resume string `json:"resume,omitempty"`
	// Rollback returns to the state before the command; empty if nothing was changed, or
	// if no command does that.
	Rollback string `json:"rollback,omitempty"`
	// Notes are sentences about the commands.
	Notes []string `json:"-"`
}

// StoppedError is the error of a command that can be resumed.
type StoppedError struct {
	Next
	Err error
}

func (e *StoppedError) Error() string { return e.Err.Error() }

// Unwrap returns the error without the commands.
func (e *StoppedError) Unwrap() error { return e.Err }

// Stopped adds the next commands to an error.
func Stopped(err error, next Next) error { return &StoppedError{Next: next, Err: err} }

// PrintError prints the error of a command of root, and after it the commands to go on with.
func PrintError(root *cobra.Command, out io.Writer, err error) {
	if text := renamer(root); text != nil {
		out = forUsers{stream{out, text}}
	}
	fmt.Fprintf(out, "%s: %v\n", root.DisplayName(), err)
	var stopped *StoppedError
	if !errors.As(err, &stopped) {
		return
	}
	resume := "to resume"
	switch {
	case !stopped.Changed && strings.Contains(err.Error(), "nothing was changed"):
		resume = "to try again"
	case !stopped.Changed:
		resume = "nothing was changed; to try again"
	}
	fmt.Fprintf(out, "%s:\n  %s\n", resume, stopped.Resume)
	if stopped.Rollback != "" {
		fmt.Fprintf(out, "to roll back:\n  %s\n", stopped.Rollback)
	}
	for _, note := range stopped.Notes {
		fmt.Fprintln(out, note)
	}
}

// secretFlag is the annotation of flags whose values are secret.
const secretFlag = "tekgate.dev/secret"

// Secret marks a flag whose value is secret: no command line that is printed has it.
func Secret(f *pflag.Flag) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[secretFlag] = nil
}

func isSecret(f *pflag.Flag) bool {
	_, is := f.Annotations[secretFlag]
	return is
}

// CommandLine returns the command line of a command as it was given, for a shell, and
// sentences about what has to be added by hand. Flags are left out by name.
func CommandLine(cmd *cobra.Command, without ...string) (line string, notes []string) {
	words := strings.Fields(cmd.Parent().CommandPath())
	name := cmd.CalledAs()
	if name == "" {
		name = cmd.Name()
	}
	words = append(words, name)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(without, f.Name) {
			return
		}
		if isSecret(f) {
			notes = append(notes, fmt.Sprintf("--%s is not shown: pass it again", f.Name))
			return
		}
		for _, value := range flagValues(f) {
			shown := withoutSecrets(value)
			if shown != value {
				notes = append(notes, fmt.Sprintf("--%s is shown without its password or query: write them in again", f.Name))
			}
			if value == "-" {
				notes = append(notes, fmt.Sprintf(
					"--%s was read from standard input: pass the same input again, or name a file that has it", f.Name))
			}
			words = append(words, flagWords(f, shown)...)
		}
	})
	for _, arg := range cmd.Flags().Args() {
		words = append(words, quote(withoutSecrets(arg)))
	}
	return strings.Join(words, " "), notes
}

// Sibling returns the command line of another verb of the same program, with those of the
// named flags that a command was given. Secret ones are left out.
func Sibling(cmd *cobra.Command, verb string, flags ...string) string {
	words := append(strings.Fields(cmd.Parent().CommandPath()), verb)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(flags, f.Name) && !isSecret(f) {
			for _, value := range flagValues(f) {
				words = append(words, flagWords(f, withoutSecrets(value))...)
			}
		}
	})
	return strings.Join(words, " ")
}

// flagValues returns the values that a flag was given.
func flagValues(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}

// flagWords returns the words of a flag with a value.
func flagWords(f *pflag.Flag, value string) []string {
	switch f.NoOptDefVal {
	case "":
		return []string{"--" + f.Name, quote(value)}
	case value:
		return []string{"--" + f.Name}
	}
	return []string{"--" + f.Name + "=" + quote(value)}
}

// withoutSecrets returns a URL without its user information and the values of its query,
// either of which may be a secret. Other texts stay as they are.
func withoutSecrets(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User == nil && u.RawQuery == "" {
		return text
	}
	u.User = nil
	u.RawQuery = ""
	return u.String()
}

// plain matches words that a shell takes as they are.
var plain = lazyregexp.New(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote quotes a word for a POSIX shell.
func quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
