package validator

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

var pipeToShellRule = &Rule{
	ID:       "pipe-to-shell",
	Severity: Warning,
	Kinds:    withSteps,
	Doc: `Finds scripts, commands and arguments that run what they have just downloaded: curl or
wget with a shell, Python or Perl behind a pipe, or within eval, source, $(…) or <(…).

Whoever owns that address, or breaks into it, has the run's credentials; half a
download runs half a script; and the same commit builds something else tomorrow.

A download that goes into a file, or into tar, passes, and so do comments and what
echo prints.`,
	Check: checkPipeToShell,
}

var pipesToShell = regexp.MustCompile(
	`\b(?:curl|wget)\s(?:[^|;&\n]|&[^&\n])*\|\s*(?:sudo\s+(?:-\S+\s+)*|env\s+(?:\S+=\S*\s+)*)?(?:/\S+/)?(?:(?:ba|da|z|k|a)?sh|python3?|perl)(?:\s|$|["')])` +
		`|(?:\b(?:ba|da|z|k|a)?sh|\bsource|(?m:^|[\s;&|])\.)\s+<\(\s*(?:curl|wget)\s` +
		`|\b(?:(?:ba|da|z|k|a)?sh\s+-\w*c|eval)\s+["']?\$\(\s*(?:curl|wget)\s`)

func checkPipeToShell(_ context.Context, p *Pass) {
	var r object.Reader
	for _, c := range containersIn(p) {
		places := []text{{c.Path + ".script", r.Text(c.Fields, "script")}}
		for _, list := range []string{"command", "args"} {
			for i, word := range r.TextList(c.Fields, list) {
				places = append(places, text{fmt.Sprintf("%s.%s[%d]", c.Path, list, i), word})
			}
		}
		for _, at := range places {
			if pipesToShell.MatchString(commands(at.Value)) {
				p.Report(at.Path, "%s runs what it downloads, so whoever owns that address has the run: put the tool into the image, or download a release to a file and check its digest", c.Unit)
			}
		}
	}
}

// commands is a script without its comments and what it prints, each command in one
// line.
func commands(script string) string {
	if !strings.Contains(script, "curl") && !strings.Contains(script, "wget") {
		return ""
	}
	var kept strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		start := strings.TrimSpace(line)
		if !strings.HasPrefix(start, "#") && !strings.HasPrefix(start, "echo ") && !strings.HasPrefix(start, "printf ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
