package sources

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/rule"
)

var gitRevisionRule = &rule.Rule{
	ID:       "git-revision",
	Severity: rule.Error,
	Lenient:  true,
	Since:    "v1.0.0",
	Kinds:    withSources,
	Doc: `Finds revisions that the git resolver can never fetch. It asks the server for a branch, a tag or a commit by its
name (` + "`git fetch --depth=1 origin REVISION`" + `, pkg/resolution/resolver/git/repository.go of v1.15.0), and so the run
fails with CouldntGetTask:

- what git works out from the history, such as ` + "`main~1`, `v1.0^`, `main@{1}` or `v1..v2`" + `: "invalid refspec";
- what no branch, tag or commit can be called, such as ` + "`a b`, `ma*`, `a\\b`, `main/`, `/main`, `.a` or `a.lock`" + `;
- a commit that is cut short, such as ` + "`1a2b3c4`" + `: "couldn't find remote ref". 7 to 39 hexadecimal digits count, with
  a letter and a decimal digit among them. It is a warning, since a branch or tag may be called so.

Write the full commit, a branch or a tag. Names of digits alone, or of letters alone, such as 20260401 or
deadbeef, pass, and so does a ` + "`repo`" + ` that the resolver reads through the forge's API.

What begins with a dash is the matter of git-argument-injection.

A server that speaks protocol 0 of git alone gives branches, tags and their newest commits, and no older one.`,
	Check: checkGitRevision,
}

var (
	// impossibleName matches what no branch or tag can be called, see git check-ref-format. A
	// colon is left out: git reads a refspec there.
	impossibleName = lazyregexp.New(`[~^?*\[\\\x00- \x7f]|\.\.|@\{|(^|/)(\.|/|$)|^/|\.$|\.lock(/|$)`)
	// computedRevision matches what git works out from the history.
	computedRevision = lazyregexp.New(`[~^]|\.\.|@\{`)
	shortCommit      = lazyregexp.New(`^[0-9a-fA-F]{7,39}$`)
)

func checkGitRevision(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		text, path := s.given("revision")
		if s.Resolver != "git" || s.has("repo") || text == "" || !certain(text) || strings.Contains(text, ":") ||
			strings.HasPrefix(strings.TrimSpace(text), "-") {
			continue
		}
		switch {
		case computedRevision.MatchString(text):
			p.Report(path,
				"the git resolver cannot fetch revision %q: it asks the server for a name, and git works this out from the history: write a branch, a tag or the full commit",
				text)
		case impossibleName.MatchString(text):
			p.Report(path,
				"the git resolver cannot fetch revision %q, which is no name that git gives to a branch, tag or commit: write one of these",
				text)
		case isShortCommit(text):
			finding := p.Report(path,
				"revision %q looks like a commit that is cut short, which the git resolver cannot fetch, unless a branch or tag is called so: write all 40 digits",
				text)
			finding.Severity = rule.Warning
		}
	}
}

// isShortCommit reports whether a text looks like the beginning of a commit, and not like a word,
// a number or a date.
func isShortCommit(text string) bool {
	return shortCommit.MatchString(text) && strings.ContainsAny(text, "0123456789") &&
		strings.ContainsAny(text, "abcdefABCDEF")
}
