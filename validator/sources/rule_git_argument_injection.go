package sources

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var gitArgumentInjectionRule = &rule.Rule{
	ID:       "git-argument-injection",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds params of the git resolver that begin with a dash, which git takes for an option:
a ` + "`revision`" + ` of ` + "`--upload-pack=…`" + ` runs a program in the resolver's Pod, whose
ServiceAccount may read every Secret of the cluster (CVE-2026-40938,
GHSA-94jr-7pqp-xhcq; fixed in v1.3.4, v1.6.2 and v1.11.1).

Looked at are revision, url, pathInRepo, org and repo. No ref of git may begin with a
dash (git check-ref-format).`,
	Check: checkGitArgumentInjection,
}

func checkGitArgumentInjection(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if s.Resolver != "git" {
			continue
		}
		for _, name := range []string{"revision", "branch", "url", "pathInRepo", "org", "repo"} {
			if text, path := s.given(name); strings.HasPrefix(strings.TrimSpace(text), "-") {
				p.Report(path,
					"%s begins with a dash, so git takes it for an option and may run what it names in the resolver's Pod (CVE-2026-40938): write it without the dash",
					name)
			}
		}
	}
}
