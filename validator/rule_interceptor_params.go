package validator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tektoncd/triggers/pkg/interceptors/bitbucket"
	"github.com/tektoncd/triggers/pkg/interceptors/cel"
	"github.com/tektoncd/triggers/pkg/interceptors/github"
	"github.com/tektoncd/triggers/pkg/interceptors/gitlab"
	"github.com/tektoncd/triggers/pkg/interceptors/slack"

	"github.com/tekgate/tekgate/internal/strict"
)

// TekgateParams are the params of Tekgate's own ClusterInterceptor, which decodes them
// strictly: those of every provider, then those of the provider generic.
var TekgateParams = []string{
	"provider", "mode", "secretRef", "secretRefs", "eventTypes", "repositories", "branches", "tags", "paths",
	"maxAge", "replay", "allowInsecure",
	"header", "query", "algorithm", "encoding", "prefix", "template", "timestampHeader", "eventHeader",
	"deliveryHeader", "payload",
}

var interceptorParamsRule = &Rule{
	ID:       "interceptor-params",
	Severity: Error,
	Kinds:    withTriggers,
	Doc: `Finds params that the interceptors cel, github, gitlab, bitbucket, slack and tekgate do
not know, at any depth, and params that are not of their type.

Tekton's core interceptors pass over what they do not know
(pkg/interceptors/interceptors.go of Tekton Triggers v0.37.0): with ` + "`filtr`" + ` in place of
` + "`filter`" + ` every event passes, and with ` + "`secret`" + ` in place of ` + "`secretRef`" + ` nobody's signature
is verified. A param of another type refuses every event, and Tekgate's own interceptor
refuses them for an unknown one, too.

Params in another case are those of interceptor-param-case. Other interceptors are not
looked at: nobody knows what they take.`,
	Check: checkInterceptorParams,
}

func checkInterceptorParams(_ context.Context, p *Pass) {
	for _, in := range interceptorsIn(chainsIn(p)...) {
		for _, given := range in.ordered() {
			p.judgeParam(in, given)
		}
	}
}

func (p *Pass) judgeParam(in interceptor, given param) {
	if in.core() == "tekgate" && given.Name != "" && !slices.Contains(TekgateParams, given.Name) {
		remedy := "see docs/events.md for those that there are"
		if best := strict.Closest(given.Name, TekgateParams); best != "" {
			remedy = fmt.Sprintf("did you mean %q?", best)
		}
		p.Report(given.Path+".name", "interceptor tekgate has no param %q, so it refuses every event for %s: %s", given.Name, in.Unit, remedy)
		return
	}
	into := coreParams(in.core())
	if into == nil || given.Name == "" || given.Value == nil {
		return
	}
	raw := asJSON(map[string]any{given.Name: given.Value})
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "unknown field"):
		p.Report(given.Path, "interceptor %s passes over what it does not know, and works for %s as if it were not there: %s", in.core(), in.Unit, oneField(strict.UnmarshalJSON(raw, coreParams(in.core()))))
	default:
		p.Report(given.Path+".value", "interceptor %s cannot read the value of %q, so it refuses every event for %s: give it the type that Tekton's documentation shows", in.core(), given.Name, in.Unit)
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

var interceptorParamCaseRule = &Rule{
	ID:       "interceptor-param-case",
	Severity: Warning,
	Kinds:    withTriggers,
	Doc: `Finds params of the interceptors cel, github, gitlab, bitbucket and slack that are
spelt right but for the case, such as ` + "`secretref`" + ` or ` + "`eventtypes`" + `.

They work by accident, since Go's JSON decoder does not mind the case; Tekton promises
it nowhere, and whoever searches for secretRef does not find them. Interceptor tekgate
does mind: there it is a matter of interceptor-params.`,
	Check: checkInterceptorParamCase,
}

func checkInterceptorParamCase(_ context.Context, p *Pass) {
	for _, in := range interceptorsIn(chainsIn(p)...) {
		for _, given := range in.ordered() {
			into := coreParams(in.core())
			if into == nil || given.Name == "" || given.Value == nil {
				continue
			}
			raw := asJSON(map[string]any{given.Name: given.Value})
			decoder := json.NewDecoder(bytes.NewReader(raw))
			decoder.DisallowUnknownFields()
			if decoder.Decode(into) != nil {
				continue // interceptor-params says so
			}
			if err := strict.UnmarshalJSON(raw, coreParams(in.core())); err != nil && strings.Contains(err.Error(), "unknown field") {
				finding := p.Report(given.Path, "this works in interceptor %s only because Go does not mind the case: %s", in.core(), oneField(err))
				if known := knownParam(in.core(), given.Name); known != given.Name {
					p.Mend(finding, Edit{Op: "replace", Path: given.Path + ".name", Value: known})
				}
			}
		}
	}
}

// knownParam is a param's name in the case that the interceptor declares.
func knownParam(interceptor, name string) string {
	for _, known := range []string{"filter", "overlays", "secretRef", "eventTypes", "addChangedFiles", "githubOwners", "requestedFields"} {
		if strings.EqualFold(known, name) && strict.UnmarshalJSON(asJSON(map[string]any{known: nil}), coreParams(interceptor)) == nil {
			return known
		}
	}
	return name
}
