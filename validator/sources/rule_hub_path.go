package sources

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var hubPathRule = &rule.Rule{
	ID:       "hub-path-traversal",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds params of the hub resolver with a slash, ` + "`..`" + `, or another character that means
something in a URL. Tekton puts name, version and catalog into the path of a request to
the hub as they are (pkg/resolution/resolver/hub/resolver.go), so that such a name fetches
from another catalog than the one that is written. Neither hub has names with them.`,
	Check: checkHubPath,
}

func checkHubPath(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if s.Resolver != "hub" {
			continue
		}
		for _, name := range []string{"name", "version", "catalog"} {
			if text, path := s.given(name); certain(text) &&
				(strings.ContainsAny(text, `/\?#%`) || strings.Contains(text, "..")) {
				p.Report(path,
					"%s has a character that makes another address of the hub's, so that something else is fetched than it seems: write the plain %s",
					name, name)
			}
		}
	}
}
