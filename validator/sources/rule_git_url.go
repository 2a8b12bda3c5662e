package sources

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
)

var gitURLRule = &rule.Rule{
	ID:       "git-local-url",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds a ` + "`url`" + ` of the git resolver that leads to no other machine: a path such as ` + "`/tmp/x`" + `,
` + "`file:`" + `, or a program that git would run (` + "`ext::sh -c …`" + `). Together with a revision that is
an option, a local path runs a program in the resolver's Pod (CVE-2026-40938,
GHSA-94jr-7pqp-xhcq; fixed in v1.3.4, v1.6.2 and v1.11.1). Even v1.15.0 takes
` + "`ext::… a@b`" + `, since it looks for nothing but an @
(pkg/resolution/resolver/git/resolver.go).

https, http, git, ssh, ftp, ftps and ` + "`user@host:path`" + ` pass.`,
	Check: checkGitURL,
}

// gitSchemes are those that Tekton takes.
var gitSchemes = []string{"https", "http", "ssh", "git", "git+ssh", "ssh+git", "ftp", "ftps"}

func checkGitURL(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if s.Resolver != "git" {
			continue
		}
		for _, a := range s.addresses() {
			scheme, _, ok := a.parts()
			if a.Param == "url" && (!ok || !slices.Contains(gitSchemes, scheme)) {
				p.Report(a.Path,
					"the url is not that of a repository on another machine, so git would read the resolver's own files or run a program there (CVE-2026-40938): write https:// or ssh:// and a host")
			}
		}
	}
}
