package sources

import (
	"context"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

var resolverParamsRule = &rule.Rule{
	ID:       "resolver-params",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds references by Tekton's own resolvers that lack what no configuration of the resolver
fills in, or contradict themselves: bundles without bundle or name or with a bundle that
is no image reference, git without pathInRepo or with both url and repo, http without
url, hub without name or version, cluster without name. Tekton accepts the object, and
the run fails when it fetches (the params.go and resolver.go of each resolver in
pkg/resolution/resolver).`,
	Check: checkResolverParams,
}

// resolverNeeds says which params each resolver needs, and whether an empty one is as
// good as none.
var resolverNeeds = map[string]struct {
	params []string
	filled bool
}{
	"bundles": {[]string{"bundle", "name"}, true},
	"cluster": {[]string{"name"}, true},
	"git":     {[]string{"pathInRepo"}, false},
	"http":    {[]string{"url"}, false},
	"hub":     {[]string{"name", "version"}, false},
}

func checkResolverParams(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		needs := resolverNeeds[s.Resolver]
		if !s.namesKnown() {
			continue
		}
		for _, name := range needs.params {
			if !s.has(name) || (needs.filled && s.Params[name].Value == "") {
				p.Report(s.Path+".params",
					"the %s resolver needs the param %s, without which the run fails: add it",
					s.Resolver, name)
			}
		}
		url, at := s.given("url")
		if repo, _ := s.given("repo"); s.Resolver == "git" && url != "" && repo != "" {
			p.Report(at, "the git resolver takes either url or repo, and the run fails with both: remove one of them")
		}
		s.checkBundle(p)
	}
}

func (s source) checkBundle(p *rule.Pass) {
	text, at := s.bundle()
	if text == "" || !certain(text) {
		return
	}
	if _, err := image.Parse(text); err != nil {
		p.Report(at,
			"%.100q is no image reference, so the bundle cannot be fetched and the run fails: write registry/repository:tag or @sha256:…",
			text)
	}
}

// namesKnown tells whether no name of a param has still to be filled in.
func (s source) namesKnown() bool {
	for name := range s.Params {
		if !certain(name) {
			return false
		}
	}
	return true
}
