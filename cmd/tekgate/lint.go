package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/validator"
)

// lint is what lint's flags say.
type lint struct {
	judging      judging
	suppressions string
	output       string
	failOn       string
	fix          bool
	diff         bool
	list         bool   // --rules
	explain      string // the id of a rule
}

func lintCommand() *cobra.Command { return lintBy(validator.Rules, time.Now) }

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
		Args: func(_ *cobra.Command, paths []string) error { return unjudged(l.check(paths)) },
		RunE: func(cmd *cobra.Command, paths []string) error {
			err := l.run(cmd, paths)
			var found findingsError
			if errors.As(err, &found) {
				return err
			}
			return unjudged(err)
		},
	}
	l.flags(cmd)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return unjudged(cmd.Parent().FlagErrorFunc()(cmd, err))
	})
	return cmd
}

func (l *lint) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&l.output, "output", "o", "text", "`FORMAT` of the findings: text, json, sarif or github")
	f.StringVar(&l.failOn, "fail-on", "error", "`SEVERITY` from which on findings make the exit status 1: error, warning, info or never")
	f.BoolVar(&l.fix, "fix", false, "mend in the files what can be mended for certain; of standard input the mended text is printed")
	f.BoolVar(&l.diff, "diff", false, "with --fix: print what would change as a diff, and change nothing")
	f.BoolVar(&l.diff, "dry-run", false, "the same as --diff")
	f.StringVar(&l.suppressions, "suppressions", "", "`FILE` in place of .tekgatelint")
	f.BoolVar(&l.list, "rules", false, "list the rules, with the severity of their findings and their mode at admission")
	f.StringVar(&l.explain, "explain", "", "print what a `RULE` finds, and why")
	l.judging.flags(cmd)
}

// unjudged marks an error that kept the files from being judged.
func unjudged(err error) error {
	if err == nil {
		return nil
	}
	return statusError{error: err, status: 2}
}

// findingsError is what lint ends with where it found something. It says what.
type findingsError string

func (e findingsError) Error() string { return string(e) }

func (l *lint) check(paths []string) error {
	formats := []string{"text", "json", "sarif", "github"}
	reads := slices.Contains(paths, "-")
	switch {
	case l.list || l.explain != "":
		if len(paths) > 0 {
			return fmt.Errorf("%q is not expected: --rules and --explain read no files", paths[0])
		}
		return nil
	case len(paths) == 0:
		return errors.New("nothing is named to be judged: name files or folders, or - for standard input")
	case !slices.Contains(formats, l.output):
		return fmt.Errorf("--output %q is not known: say text, json, sarif or github", l.output)
	case !slices.Contains(severities, validator.Severity(l.failOn)) && l.failOn != "never":
		return fmt.Errorf("--fail-on %q is not known: say error, warning, info or never", l.failOn)
	case l.diff && !l.fix:
		return errors.New("--diff and --dry-run are for --fix: pass that too, or leave them out")
	case l.fix && (l.diff || reads) && l.output != "text":
		return fmt.Errorf("--output %s and what --fix prints would both go to standard output: leave one of them out", l.output)
	case l.fix && !l.diff && reads && len(paths) > 1:
		return errors.New("--fix prints the text of standard input: name - alone, or files")
	}
	return l.judging.check()
}

func (l *lint) run(cmd *cobra.Command, paths []string) error {
	ctx, talk := cmd.Context(), cmd.ErrOrStderr()
	if l.list || l.explain != "" {
		return l.document(cmd.OutOrStdout())
	}
	allowed, err := loadSuppressions(l.suppressions, l.judging.all, l.judging.now())
	if err != nil {
		return err
	}
	j, err := l.judging.prepare(allowed)
	if err != nil {
		return err
	}
	files, err := readFiles(ctx, paths, cmd.InOrStdin(), allowed, talk)
	if err != nil {
		return err
	}
	allowed.begin(paths, files)
	report, err := j.judge(ctx, files)
	if err != nil {
		return err
	}
	if l.fix {
		return l.mend(cmd, j, files, report)
	}
	return l.conclude(cmd.OutOrStdout(), talk, report)
}

// maxUnknown bounds how much is said of what could not be found out: a cluster that
// does not answer has the same to say for every object.
const maxUnknown = 20

// conclude prints what was found, and returns what the program ends with.
func (l *lint) conclude(out, talk io.Writer, r *findings) error {
	if err := l.print(out, r); err != nil {
		return fmt.Errorf("printing the findings: %w", err)
	}
	return l.verdict(talk, r)
}

// verdict tells people what was found, and returns what the program ends with.
func (l *lint) verdict(talk io.Writer, r *findings) error {
	for _, text := range r.unknown[:min(len(r.unknown), maxUnknown)] {
		fmt.Fprintln(talk, "warning:", text)
	}
	if more := len(r.unknown) - maxUnknown; more > 0 {
		fmt.Fprintf(talk, "warning: %d more things could not be found out, most likely for the same reason\n", more)
	}
	fmt.Fprintln(talk, r.summary())
	if r.objects == 0 && len(r.problems) == 0 {
		fmt.Fprintln(talk, "note: there is no object of Tekton's in what was named")
	}
	if n := r.atLeast(l.failOn); n > 0 {
		return findingsError(fmt.Sprintf("%s at or above %s", counted(n, "finding"), l.failOn))
	}
	return nil
}

// severities are all of them, the worst first.
var severities = []validator.Severity{validator.Error, validator.Warning, validator.Info}

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
}

// findings are all that was found.
type findings struct {
	problems   []*problem // by file and position
	unknown    []string   // what could not be found out
	files      int
	objects    int // that were judged
	excepted   int // by annotations
	suppressed int // by comments and .tekgatelint
	mended     int
}

func (r *findings) count(severity validator.Severity) int {
	n := 0
	for _, p := range r.problems {
		if p.Severity == severity {
			n++
		}
	}
	return n
}

// atLeast counts the findings of a severity and those that are worse.
func (r *findings) atLeast(severity string) int {
	n := 0
	for _, s := range severities[:slices.Index(severities, validator.Severity(severity))+1] {
		n += r.count(s)
	}
	return n
}

func (r *findings) summary() string {
	text := fmt.Sprintf("%s in %s: %s, %s, %s", counted(r.objects, "object"), counted(r.files, "file"),
		counted(r.count(validator.Error), "error"), counted(r.count(validator.Warning), "warning"), counted(r.count(validator.Info), "hint"))
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

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
