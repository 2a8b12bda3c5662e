package sources

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var httpURLRule = &rule.Rule{
	ID:       "http-resolver-url",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds a ` + "`url`" + ` of the http resolver that is not http or https with a host. Tekton accepts
the object, and the run fails when it fetches
(pkg/resolution/resolver/http/resolver.go).`,
	Check: checkHTTPURL,
}

func checkHTTPURL(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if s.Resolver != "http" {
			continue
		}
		for _, a := range s.addresses() {
			scheme, _, ok := a.parts()
			if a.Param == "url" && (!ok || (scheme != "http" && scheme != "https")) {
				p.Report(a.Path,
					"the url is none that the http resolver takes, so it would fetch nothing and the run would fail: write https:// and a host")
			}
		}
	}
}
