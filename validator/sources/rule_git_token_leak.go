package sources

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var gitTokenLeakRule = &rule.Rule{
	ID:       "git-token-leak",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds a ` + "`serverURL`" + ` of the git resolver beside ` + "`repo`" + ` and without a ` + "`token`" + `: Tekton
then sends the token of its own configuration to that server, whosever it is
(CVE-2026-40161, GHSA-wjxp-xrpv-xpff; fixed in v1.3.4, v1.6.2, v1.9.3 and v1.11.1, which
refuse it). With a url the repository is cloned, and no server is asked.

The server of the configuration needs no serverURL; where it is written all the same,
policy.patches.gitServers names it.`,
	Check: checkGitTokenLeak,
}

func checkGitTokenLeak(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		server, path := s.given("serverURL")
		token, _ := s.given("token")
		repo, _ := s.given("repo") // without it the resolver clones url, and asks no server
		if s.Resolver != "git" || server == "" || repo == "" || token != "" || !certain(server) {
			continue
		}
		known := func(allowed string) bool {
			return strings.TrimSuffix(allowed, "/") == strings.TrimSuffix(server, "/")
		}
		if !slices.ContainsFunc(rule.PolicyOf[PatchPolicy](p).GitServers, known) {
			p.Report(path,
				"the resolver would send its own token to this server (CVE-2026-40161): name a Secret in the param token, or leave serverURL out where it is the one of git-resolver-config")
		}
	}
}
