package containers

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/rule"
)

var pipeToShellRule = &rule.Rule{
	ID:       "pipe-to-shell",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds scripts, commands and arguments that run what they have just downloaded: curl or
wget with a shell, Python or Perl behind a pipe, or within eval, source, $(…) or <(…).

Whoever owns that address, or breaks into it, has the run's credentials; half a
download runs half a script; and the same commit builds something else tomorrow.

A download that goes into a file, or into tar, passes, and so do comments and what
echo prints.`,
	Check: checkPipeToShell,
}

var pipesToShell = lazyregexp.New(
	`\b(?:curl|wget)\s(?:[^|;&\n]|&[^&\n])*\|\s*(?:sudo\s+(?:-\S+\s+)*|env\s+(?:\S+=\S*\s+)*)?(?:/\S+/)?(?:(?:ba|da|z|k|a)?sh|python3?|perl)(?:\s|$|["')])` +
		`|(?:\b(?:ba|da|z|k|a)?sh|\bsource|(?m:^|[\s;&|])\.)\s+<\(\s*(?:curl|wget)\s` +
		`|\b(?:(?:ba|da|z|k|a)?sh\s+-\w*c|eval)\s+["']?\$\(\s*(?:curl|wget)\s`)

func checkPipeToShell(_ context.Context, p *rule.Pass) {
	for _, c := range containersIn(p) {
		for _, at := range programsOf(c) {
			downloads := strings.Contains(at.Value, "curl") || strings.Contains(at.Value, "wget")
			if downloads && pipesToShell.MatchString(uncommented(at.Value)) {
				p.Report(at.Path,
					"%s runs what it downloads, so whoever owns that address has the run: put the tool into the image, or download a release to a file and check its digest",
					c.Unit)
			}
		}
	}
}
