package sources

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var unencryptedResolverRule = &rule.Rule{
	ID:       "unencrypted-resolver",
	Severity: rule.Warning,
	Kinds:    withSources,
	Doc: `Finds addresses of the git and http resolvers with http, git or ftp: whoever sits between
may put another Task in the place of the one that was asked for, and reads the token of
a serverURL.

Services of the cluster (` + "`.svc`, `.svc.cluster.local`" + `) pass.`,
	Check: checkUnencryptedResolver,
}

func checkUnencryptedResolver(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		for _, a := range s.addresses() {
			scheme, host, ok := a.parts()
			inside := strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".cluster.local")
			if ok && !inside && slices.Contains([]string{"http", "git", "ftp"}, scheme) {
				p.Report(a.Path,
					"the %s is fetched over %s, where anybody on the way may replace it by another: write https:// or ssh://",
					s.Kind, scheme)
			}
		}
	}
}
