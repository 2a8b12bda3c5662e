// Package lint checks Tekton's objects in files by the validator's rules.
package lint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/validator"
)

// lint is what lint's flags say.
type lint struct {
	judging      judging
	suppressions string
	output       cli.Output
	failOn       findings.Threshold
	fix          bool
	diff         bool
	list         bool   // --rules
	explain      string // the id of a rule
}

// Command returns the command.
func Command() *cobra.Command { return lintBy(validator.Rules, time.Now) }

// lintBy is the command with rules and a clock of the caller's.
func lintBy(rules []*validator.Rule, now func() time.Time) *cobra.Command {
	l := lint{judging: judging{all: rules, now: now}}
	cmd := &cobra.Command{
		Use:   "lint PATH...",
		Short: "Say what is wrong with Tekton's objects in files, before they are applied",
		Long: `Judge objects of Tekton Pipelines and Triggers in files and folders (- is standard
input) by the rules of the admission webhook, without a cluster. All paths together
are one set: what an EventListener names is looked for in all of them. Of Tekton's
kinds what is not in the set does not exist, unless .tekgatelint says that it is
elsewhere, or --live finds it in the cluster. Other objects, such as ServiceAccounts
and Secrets, are known and not judged.

A finding is an error, a warning or a hint (info), as the rule says, or as the mode
does that the configuration gives the rule: enforce makes it an error, warn a
warning, audit a hint, off silences the rule. An object is excepted from a rule by an
annotation except.tekgate.dev/RULE, a line by the comment

  # tekgate: ignore RULE the reason

on it or above it, and files and objects by .tekgatelint, which is looked for in the
current folder and above it, up to the root of the repository.

The findings go to standard output, all else to standard error. The exit status is 0
if there is nothing at or above --fail-on, 1 if there is, and 2 if the files could
not be judged. docs/lint.md has the formats, .tekgatelint, and examples for CI.`,
		Example: `  # a repository
  tekgate lint .tekton

  # mend what can be mended for certain; look at it first
  tekgate lint .tekton --fix --diff
  tekgate lint .tekton --fix

  # what a chart or an overlay comes to
  helm template chart | tekgate lint -

  # remarks on a pull request in GitHub Actions
  tekgate lint .tekton -o github`,
		Args: func(_ *cobra.Command, paths []string) error { return cli.Exit(2, l.check(paths)) },
		RunE: func(cmd *cobra.Command, paths []string) error {
			return cli.Exit(2, l.run(cmd.Context(), cli.StreamsOf(cmd), paths))
		},
	}
	l.flags(cmd)
	cli.FlagErrors(cmd, 2)
	return cmd
}

func (l *lint) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	l.output.Flag(cmd, "findings", "text", "json", "yaml", "name", "jsonpath", "sarif", "github")
	l.failOn.Flag(cmd, "error")
	f.BoolVar(&l.fix, "fix", false,
		"mend in the files what can be mended for certain; of standard input the mended text is printed")
	f.BoolVar(&l.diff, "diff", false, "with --fix: print what would change as a diff, and change nothing")
	f.BoolVar(&l.diff, "dry-run", false, "the same as --diff")
	f.StringVar(&l.suppressions, "suppressions", "", "`FILE` in place of .tekgatelint")
	f.BoolVar(&l.list, "rules", false,
		"list the rules, with the severity of their findings and their mode at admission")
	f.StringVar(&l.explain, "explain", "", "print what a `RULE` finds, and why")
	l.judging.flags(cmd)
}

func (l *lint) check(paths []string) error {
	reads := slices.Contains(paths, "-")
	switch {
	case l.list || l.explain != "":
		if len(paths) > 0 {
			return fmt.Errorf("%q is not expected: --rules and --explain read no files", paths[0])
		}
		return l.output.Check()
	case len(paths) == 0:
		return errors.New("nothing is named to be judged: name files or folders, or - for standard input")
	case l.output.Check() != nil:
		return l.output.Check()
	case l.failOn.Check() != nil:
		return l.failOn.Check()
	case l.diff && !l.fix:
		return errors.New("--diff and --dry-run are for --fix: pass that too, or leave them out")
	case l.fix && (l.diff || reads) && l.output.Format != "text":
		return fmt.Errorf("--output %s and what --fix prints would both go to standard output: leave one of them out",
			l.output.Format)
	case l.fix && !l.diff && reads && len(paths) > 1:
		return errors.New("--fix prints the text of standard input: name - alone, or files")
	}
	return l.judging.check()
}

// fewerCollections is by how much the heap may grow before it is collected, in percent.
const fewerCollections = 175

func (l *lint) run(ctx context.Context, streams cli.Streams, paths []string) error {
	errOut := streams.ErrOut
	if l.list || l.explain != "" {
		return l.document(streams.Out)
	}
	allowed, err := loadSuppressions(l.suppressions, l.judging.all, l.judging.now())
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// Objects on the shelf leave the heap small, so fewer collections cost little memory.
		defer debug.SetGCPercent(debug.SetGCPercent(fewerCollections))
	}
	j, err := l.judging.prepare(ctx, paths, allowed)
	if err != nil {
		return err
	}
	files, err := readFiles(ctx, paths, streams.In, allowed, errOut)
	if err != nil {
		return err
	}
	allowed.begin(paths, files)
	report, err := j.judge(ctx, files)
	if err != nil {
		return err
	}
	if err := j.saveLock(errOut); err != nil {
		return err
	}
	if l.fix {
		return l.mend(ctx, streams, j, files, report)
	}
	return l.conclude(streams.Out, errOut, report)
}

// maxUnknown bounds how much is said of what could not be found out: a cluster that
// does not answer has the same to say for every object.
const maxUnknown = 20

// conclude prints what was found, and returns what the program ends with.
func (l *lint) conclude(out, errOut io.Writer, r *report) error {
	if err := l.print(out, r); err != nil {
		return fmt.Errorf("printing the findings: %w", err)
	}
	return l.verdict(errOut, r)
}

// verdict tells people what was found, and returns what the program ends with.
func (l *lint) verdict(errOut io.Writer, r *report) error {
	for _, text := range r.unknown[:min(len(r.unknown), maxUnknown)] {
		fmt.Fprintln(errOut, "warning:", text)
	}
	if more := len(r.unknown) - maxUnknown; more > 0 {
		fmt.Fprintf(errOut, "warning: %d more things could not be found out, most likely for the same reason\n", more)
	}
	fmt.Fprintln(errOut, r.summary())
	if r.objects == 0 && len(r.problems) == 0 {
		fmt.Fprintln(errOut, "note: there is no object of Tekton's in what was named")
	}
	if n := r.reaching(l.failOn); n > 0 {
		return cli.Exit(1, fmt.Errorf("%s at or above %s", cli.Plural(n, "finding"), l.failOn))
	}
	return nil
}

// problem is a finding in a file: one of a rule, or of lint itself.
type problem struct {
	File      string             `json:"file"`
	Line      int                `json:"line"`   // from 1
	Column    int                `json:"column"` // from 1, in characters
	Kind      string             `json:"kind,omitempty"`
	Name      string             `json:"name,omitempty"`
	Namespace string             `json:"namespace,omitempty"` // as the object or --namespace names it
	Rule      string             `json:"rule"`
	Severity  validator.Severity `json:"severity"` // error, warning or info
	Path      string             `json:"path,omitempty"`
	Message   string             `json:"message"`
	Fix       []validator.Edit   `json:"fix,omitempty"`

	object *linted
	chart  string // the folder of the Helm chart whose template the file is
}

// report has all that was found.
type report struct {
	problems   []*problem // by file and position
	unknown    []string   // what could not be found out
	files      int
	objects    int // that were judged
	excepted   int // by annotations
	suppressed int // by comments and .tekgatelint
	mended     int
}

func (r *report) count(severity validator.Severity) int {
	n := 0
	for _, p := range r.problems {
		if p.Severity == severity {
			n++
		}
	}
	return n
}

// reaching counts the findings at or above a threshold.
func (r *report) reaching(threshold findings.Threshold) int {
	n := 0
	for _, p := range r.problems {
		if threshold.ReachedBy(p.Severity) {
			n++
		}
	}
	return n
}

func (r *report) summary() string {
	text := fmt.Sprintf("%s in %s: %s, %s, %s", cli.Plural(r.objects, "object"), cli.Plural(r.files, "file"),
		cli.Plural(r.count(validator.Error), "error"), cli.Plural(r.count(validator.Warning), "warning"),
		cli.Plural(r.count(validator.Info), "hint"))
	var rest []string
	for _, c := range []struct {
		n    int
		what string
	}{{r.excepted, "excepted"}, {r.suppressed, "suppressed"}, {r.mended, "mended"}} {
		if c.n > 0 {
			rest = append(rest, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(rest) == 0 {
		return text
	}
	return text + "; " + strings.Join(rest, ", ")
}
