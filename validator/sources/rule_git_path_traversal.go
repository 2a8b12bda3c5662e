package sources

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var gitPathTraversalRule = &rule.Rule{
	ID:       "git-path-traversal",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds a ` + "`pathInRepo`" + ` of the git resolver with a part ` + "`..`" + `, which reads files of the resolver's
Pod in place of the repository's, its ServiceAccount's token among them
(CVE-2026-33211, GHSA-j5q5-j9gm-2w5c; fixed in v1.0.1, v1.3.3, v1.6.1, v1.9.2 and
v1.10.2, which refuse it when they fetch).

A leading slash passes: it has always meant the repository, and Tekton's own examples
write it.`,
	Check: checkGitPathTraversal,
}

func checkGitPathTraversal(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if text, path := s.given("pathInRepo"); s.Resolver == "git" && climbs(text) {
			p.Report(path,
				"pathInRepo has a part \"..\", which leaves the repository and reads the resolver's own files (CVE-2026-33211): name the file from the root of the repository")
		}
	}
}
