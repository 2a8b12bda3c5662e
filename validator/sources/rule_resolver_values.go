package sources

import (
	"context"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
)

var resolverValuesRule = &rule.Rule{
	ID:       "resolver-values",
	Severity: rule.Error,
	Lenient:  true,
	Kinds:    withSources,
	Doc: `Finds params of Tekton's own resolvers whose values these refuse: an array or object, an empty value where
one is needed, a kind other than task, pipeline and stepaction, a hub's type other than artifact and tekton, a url
of a hub that is not http or https, a user name of the http resolver without its Secret or the other way round,
a digest that is not sha256 or sha512 in hexadecimal, a cache mode other than always, never and auto, and a
blank namespace. Tekton accepts the object, and the run fails when it fetches (pkg/resolution/resolver and pkg/remoteresolution/resolver of v1.15.1).

A warning is a name that the resolver does not read, and a kind that is not that of the reference, be it the
resolver's default: task, unless its ConfigMap says otherwise. A hint is the cluster resolver without a
namespace, which Tekton's own configuration does not have. Revisions of git are the matter of git-revision.

Numbers and booleans count as the texts that Tekton makes of them. Values with a $(…) in them are not judged.`,
	Check: checkResolverValues,
}

// resolverParams are all that each resolver reads. The resolvers share cache.
var resolverParams = map[string][]string{
	"bundles": {"bundle", "cache", "kind", "name", "secret", "serviceAccount"},
	"cluster": {"cache", "kind", "name", "namespace"},
	"git": {"cache", "configKey", "gitToken", "gitTokenKey", "org", "pathInRepo", "repo", "revision", "scmType",
		"serverURL", "token", "tokenKey", "url"},
	"http": {"cache", "digest", "http-password-secret", "http-password-secret-key", "http-username", "url"},
	"hub":  {"cache", "catalog", "kind", "name", "type", "url", "version"},
}

// notEmpty are params that a resolver cannot use empty. Those of bundles and cluster resolver-params finds.
var notEmpty = map[string][]string{
	"git":  {"pathInRepo"},
	"http": {"url", "http-username", "http-password-secret"},
	"hub":  {"name", "version", "kind", "type"},
}

func checkResolverValues(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		if resolverParams[s.Resolver] == nil || !s.namesKnown() {
			continue
		}
		names := make([]string, 0, len(s.Params))
		for name := range s.Params {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			s.checkParam(p, name)
		}
		s.checkKind(p)
		switch s.Resolver {
		case "http":
			s.checkPair(p, "http-username", "http-password-secret")
			s.checkPair(p, "http-password-secret", "http-username")
		case "cluster":
			s.checkClusterNamespace(p)
		}
	}
}

// checkParam judges one param by itself.
func (s source) checkParam(p *rule.Pass, name string) {
	given := s.Params[name]
	if known := resolverParams[s.Resolver]; !slices.Contains(known, name) {
		finding := p.Report(given.Path+".name", "the %s resolver has no param %q, and passes over it: %s", s.Resolver, name,
			suggest.DidYouMean(name, known, "it reads "+strings.Join(known, ", ")))
		finding.Severity = rule.Warning
		return
	}
	path := given.Path + ".value"
	switch given.Value.(type) {
	case []any, map[string]any:
		p.Report(path, "the %s resolver takes a text as %s, so it reads this as empty: write a text", s.Resolver, name)
		return
	}
	text, _ := s.given(name)
	if given.Value == nil || !certain(text) {
		return
	}
	if text == "" {
		if slices.Contains(notEmpty[s.Resolver], name) {
			p.Report(path, "%s is empty, and the %s resolver refuses that, so the run fails: write it out, or remove the param",
				name, s.Resolver)
		}
		return
	}
	if wanted := refusal(s.Resolver, name, text); wanted != "" {
		p.Report(path, "the %s resolver refuses %.60q as %s, so the run fails: write %s", s.Resolver, text, name, wanted)
	}
}

// refusal says what a resolver takes in place of a value that it refuses, "" for one that it takes.
func refusal(resolver, name, text string) string {
	oneOf := func(known ...string) string {
		if slices.Contains(known, text) {
			return ""
		}
		return strings.Join(known[:len(known)-1], ", ") + " or " + known[len(known)-1]
	}
	switch name {
	case "cache":
		return oneOf("always", "never", "auto")
	case "kind":
		if resolver != "bundles" { // it compares the kinds of layers in any case
			return oneOf("task", "pipeline", "stepaction")
		}
	case "type":
		return oneOf("artifact", "tekton")
	case "digest":
		if !isDigest(text) {
			return "sha256: or sha512: and the hexadecimal digits"
		}
	case "url":
		if u, err := url.ParseRequestURI(text); resolver == "hub" &&
			(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return "https:// and the host of the hub"
		}
	}
	return ""
}

func isDigest(text string) bool {
	algorithm, digits, _ := strings.Cut(text, ":")
	_, err := hex.DecodeString(digits)
	return err == nil && (algorithm == "sha256" && len(digits) == 64 || algorithm == "sha512" && len(digits) == 128)
}

// checkPair reports a param without another that it needs.
func (s source) checkPair(p *rule.Pass, name, needs string) {
	if s.has(name) && !s.has(needs) {
		p.Report(s.Params[name].Path+".name", "the http resolver refuses %s without %s, so the run fails: add that, or remove this",
			name, needs)
	}
}

// checkKind reports a kind that is not that of the reference. Without one the resolver takes its default.
func (s source) checkKind(p *rule.Pass) {
	if s.Resolver == "git" || s.Resolver == "http" {
		return
	}
	wanted := strings.ToLower(s.Kind)
	kind, path := s.given("kind")
	switch {
	case !s.has("kind") && wanted != "task":
		p.Report(s.Path+".params", "without the param kind the %s resolver looks for a task, unless its ConfigMap has another default-kind: add kind with the value %s",
			s.Resolver, wanted).Severity = rule.Warning
	case strings.ToLower(kind) != wanted && slices.Contains(kinds, strings.ToLower(kind)):
		p.Report(path, "this fetches a %s where a %s is needed, so the run fails: write %s", strings.ToLower(kind), s.Kind,
			wanted).Severity = rule.Warning
	}
}

// kinds are those that a resolver fetches.
var kinds = []string{"task", "pipeline", "stepaction"}

func (s source) checkClusterNamespace(p *rule.Pass) {
	namespace, path := s.given("namespace")
	switch {
	case namespace != "" && strings.TrimSpace(namespace) == "":
		p.Report(path, "the namespace is blank, and the cluster resolver refuses that, so the run fails: name the one that has the %s", s.Kind)
	case namespace == "":
		finding := p.Report(s.Path+".params",
			"the cluster resolver needs the param namespace, unless its ConfigMap has a default-namespace, which Tekton's own has not: add it")
		finding.Severity = rule.Info
	}
}
