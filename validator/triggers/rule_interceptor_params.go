package triggers

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tektoncd/triggers/pkg/interceptors/bitbucket"
	"github.com/tektoncd/triggers/pkg/interceptors/cel"
	"github.com/tektoncd/triggers/pkg/interceptors/github"
	"github.com/tektoncd/triggers/pkg/interceptors/gitlab"
	"github.com/tektoncd/triggers/pkg/interceptors/slack"

	"github.com/tekgate/tekgate/internal/hooks"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var interceptorParamsRule = &rule.Rule{
	ID:       "interceptor-params",
	Severity: rule.Error,
	Kinds:    rule.WithTriggers,
	Doc: `Finds params that the interceptors cel, github, gitlab, bitbucket, slack and tekgate do
not know, at any depth, and params that are not of their type.

Tekton's core interceptors pass over what they do not know
(pkg/interceptors/interceptors.go of Tekton Triggers v0.37.0): with ` + "`filtr`" + ` in place of
` + "`filter`" + ` every event passes, and with ` + "`secret`" + ` in place of ` + "`secretRef`" + ` nobody's signature
is verified. A param of another type refuses every event, and Tekgate's own interceptor
refuses them for an unknown one, too, for a provider that it does not know, and for a
mode that the provider does not have.

Params in another case are those of interceptor-param-case. Other interceptors are not
looked at: nobody knows what they take.`,
	Check: checkInterceptorParams,
}

func checkInterceptorParams(_ context.Context, p *rule.Pass) {
	for _, in := range walk.Interceptors(p) {
		for _, given := range orderedParams(in) {
			judgeInterceptorParam(p, in, given)
		}
		if coreName(in) == "tekgate" {
			judgeProvider(p, in)
		}
	}
}

// judgeProvider finds what Tekgate's interceptor refuses every event for: a provider that
// it does not know, or a mode that the provider does not have.
func judgeProvider(p *rule.Pass, in walk.Interceptor) {
	var names []string
	for _, known := range hooks.Providers {
		names = append(names, known.Name)
	}
	provider, named := in.Params["provider"]
	name, isText := provider.Value.(string)
	if !named {
		p.Report(in.Path,
			"interceptor tekgate is told no provider, so it refuses every event for %s: name one of %s in param provider",
			in.Unit, strings.Join(names, ", "))
		return
	}
	i := slices.Index(names, name)
	if i < 0 {
		remedy := "name one of " + strings.Join(names, ", ")
		if isText {
			remedy = suggest.DidYouMean(name, names, remedy)
		}
		p.Report(provider.Path+".value",
			"interceptor tekgate knows no such provider, so it refuses every event for %s: %s",
			in.Unit, remedy)
		return
	}
	known := hooks.Providers[i]
	modes := modeNames(known)
	mode, hasMode := in.Params["mode"]
	switch {
	case hasMode && !slices.ContainsFunc(modes, func(m string) bool { return mode.Value == any(m) }):
		p.Report(mode.Path+".value",
			"interceptor tekgate has no such mode for %s, so it refuses every event for %s: name one of %s",
			name, in.Unit, strings.Join(modes, ", "))
	case !hasMode && known.ExplicitMode:
		p.Report(in.Path,
			"interceptor tekgate is told no mode for %s, so it refuses every event for %s: name one of %s in param mode, as the hook is set",
			name, in.Unit, strings.Join(modes, ", "))
	}
}

func modeNames(provider hooks.Provider) []string {
	var names []string
	for _, mode := range provider.Modes {
		names = append(names, mode.Name)
	}
	return names
}

// paramNames returns the params of Tekgate's own ClusterInterceptor, which decodes them
// strictly.
func paramNames() []string {
	var names []string
	for _, param := range slices.Concat(hooks.Params, hooks.GenericParams) {
		names = append(names, param.Name)
	}
	return names
}

func judgeInterceptorParam(p *rule.Pass, in walk.Interceptor, given rule.Param) {
	if coreName(in) == "tekgate" && given.Name != "" && !slices.Contains(paramNames(), given.Name) {
		remedy := suggest.DidYouMean(given.Name, paramNames(), "see docs/events.md for those that there are")
		p.Report(given.Path+".name",
			"interceptor tekgate has no param %q, so it refuses every event for %s: %s",
			given.Name, in.Unit, remedy)
		return
	}
	into := coreParams(coreName(in))
	if into == nil || given.Name == "" || given.Value == nil {
		return
	}
	raw := triggerJSON(map[string]any{given.Name: given.Value})
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "unknown field"):
		p.Report(given.Path,
			"interceptor %s passes over what it does not know, and works for %s as if it were not there: %s",
			coreName(in), in.Unit, oneField(strict.UnmarshalJSON(raw, coreParams(coreName(in)))))
	default:
		p.Report(given.Path+".value",
			"interceptor %s cannot read the value of %q, so it refuses every event for %s: give it the type that Tekton's documentation shows",
			coreName(in), given.Name, in.Unit)
	}
}

// coreParams returns new params of one of Tekton's core interceptors, or nil.
func coreParams(name string) any {
	switch name {
	case "bitbucket":
		return &bitbucket.InterceptorParams{}
	case "cel":
		return &cel.InterceptorParams{}
	case "github":
		return &github.InterceptorParams{}
	case "gitlab":
		return &gitlab.InterceptorParams{}
	case "slack":
		return &slack.InterceptorParams{}
	}
	return nil
}

// oneField is the first of several complaints about fields.
func oneField(err error) string {
	if err == nil {
		return "correct its name"
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
