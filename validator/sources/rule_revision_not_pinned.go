package sources

import (
	"context"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/rule"
)

var revisionNotPinnedRule = &rule.Rule{
	ID:       "revision-not-pinned",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds what a resolver may fetch differently tomorrow: of git, a revision that is no full
commit (40 or 64 hexadecimal digits), or none; of hub, a version that is a range or
latest; of http, a url without a commit in it, since the resolver checks no digest.

Bundles have a rule of their own, bundle-not-pinned. What the cluster resolver takes
cannot be pinned.

A pinned commit that is not the newest of a branch or tag fails where the server speaks protocol 0 of git alone:
"Server does not allow request for unadvertised object". Forges of today speak protocol 2.`,
	Check: checkRevisionNotPinned,
}

var (
	commitPattern  = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	commitInURL    = lazyregexp.New(`(^|[^0-9a-f])([0-9a-f]{40}|[0-9a-f]{64})([^0-9a-f]|$)`)
	versionPattern = lazyregexp.New(`^v?[0-9]+(\.[0-9]+)*([-+][0-9A-Za-z.+-]+)?$`)
)

func checkRevisionNotPinned(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		key, pattern, remedy := "", commitPattern, "write the full commit, 40 hexadecimal digits"
		switch s.Resolver {
		case "git":
			key = "revision"
		case "http":
			key, pattern, remedy = "url", commitInURL, "use a url with the full commit in it, or another resolver"
		case "hub":
			key, pattern, remedy = "version", versionPattern, "write one version"
		default:
			continue
		}
		text, path := s.given(key)
		if !s.has(key) {
			path = s.Path + ".params"
		}
		if certain(text) && !pattern.MatchString(text) {
			p.Report(path,
				"the %s resolver may fetch another %s here tomorrow, since %s does not say exactly which: %s",
				s.Resolver, s.Kind, key, remedy)
		}
	}
}
