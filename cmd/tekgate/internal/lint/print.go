package lint

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/validator"
)

// print writes the findings in the format that was asked for.
func (l *lint) print(out io.Writer, r *report) error {
	switch l.output.Format {
	case "sarif":
		return display.JSON(out, sarifOf(r, l.judging.rules()))
	case "github":
		return printGitHub(out, r.problems)
	}
	return l.output.Print(out, r.json(), func(out io.Writer) error {
		return printText(out, r.problems, coloured(out))
	})
}

// lintJSON is how machines see the findings.
type lintJSON struct {
	Findings []*problem `json:"findings"`
	Summary  struct {
		Files      int `json:"files"`
		Objects    int `json:"objects"` // that were judged
		Errors     int `json:"errors"`
		Warnings   int `json:"warnings"`
		Hints      int `json:"hints"`
		Excepted   int `json:"excepted"`   // by annotations
		Suppressed int `json:"suppressed"` // by comments and .tekgatelint
		Mended     int `json:"mended"`     // with --fix
	} `json:"summary"`
	// Unknown is what could not be found out, one line each.
	Unknown []string `json:"unknown,omitempty"`
}

// Names returns the places of the findings, as compilers write them.
func (j lintJSON) Names() []string {
	names := make([]string, 0, len(j.Findings))
	for _, p := range j.Findings {
		names = append(names, fmt.Sprintf("%s:%d:%d", display.Printable(p.File, '\ufffd'), p.Line, p.Column))
	}
	return names
}

func (r *report) json() lintJSON {
	j := lintJSON{Findings: r.problems, Unknown: r.unknown}
	if j.Findings == nil {
		j.Findings = []*problem{}
	}
	s := &j.Summary
	s.Files, s.Objects, s.Excepted, s.Suppressed, s.Mended = r.files, r.objects, r.excepted, r.suppressed, r.mended
	s.Errors, s.Warnings, s.Hints = r.count(validator.Error), r.count(validator.Warning), r.count(validator.Info)
	return j
}

// coloured tells whether colours are wanted: on a terminal, unless its user says
// otherwise (no-color.org).
func coloured(out io.Writer) bool {
	return cli.IsTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

var colours = map[validator.Severity]string{validator.Error: "\x1b[31m", validator.Warning: "\x1b[33m",
	validator.Info: "\x1b[36m"}

func printText(out io.Writer, problems []*problem, colour bool) error {
	for _, p := range problems {
		severity := string(p.Severity)
		if colour {
			severity = colours[p.Severity] + severity + "\x1b[0m"
		}
		if _, err := fmt.Fprintf(out, "%s:%d:%d: %s: %s (%s)\n", p.File, p.Line, p.Column, severity,
			display.Printable(p.Message, '\ufffd'), p.Rule); err != nil {
			return err
		}
	}
	return nil
}

// printGitHub writes workflow commands, of which GitHub Actions makes remarks on the
// lines of a pull request.
func printGitHub(out io.Writer, problems []*problem) error {
	commands := map[validator.Severity]string{validator.Error: "error", validator.Warning: "warning",
		validator.Info: "notice"}
	for _, p := range problems {
		if _, err := fmt.Fprintf(out, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", commands[p.Severity],
			githubProperty.Replace(p.File), p.Line, p.Column, githubProperty.Replace("tekgate: "+p.Rule),
			githubData.Replace(p.Message)); err != nil {
			return err
		}
	}
	return nil
}

// What the runner turns back, in what follows a command and in its properties.
var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
