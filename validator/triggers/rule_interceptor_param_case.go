package triggers

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var interceptorParamCaseRule = &rule.Rule{
	ID:       "interceptor-param-case",
	Severity: rule.Warning,
	Kinds:    rule.WithTriggers,
	Doc: `Finds params of the interceptors cel, github, gitlab, bitbucket and slack that are
spelt right but for the case, such as ` + "`secretref`" + ` or ` + "`eventtypes`" + `.

They work by accident, since Go's JSON decoder does not mind the case; Tekton promises
it nowhere, and whoever searches for secretRef does not find them. Interceptor tekgate
does mind: there it is a matter of interceptor-params.`,
	Check: checkInterceptorParamCase,
}

func checkInterceptorParamCase(_ context.Context, p *rule.Pass) {
	for _, in := range walk.Interceptors(p) {
		for _, given := range orderedParams(in) {
			into := coreParams(coreName(in))
			if into == nil || given.Name == "" || given.Value == nil {
				continue
			}
			raw := triggerJSON(map[string]any{given.Name: given.Value})
			decoder := json.NewDecoder(bytes.NewReader(raw))
			decoder.DisallowUnknownFields()
			if decoder.Decode(into) != nil {
				continue // interceptor-params says so
			}
			if err := strict.UnmarshalJSON(raw, coreParams(coreName(in))); err != nil &&
				strings.Contains(err.Error(), "unknown field") {
				finding := p.Report(given.Path,
					"this works in interceptor %s only because Go does not mind the case: %s",
					coreName(in), oneField(err))
				if known := knownParam(coreName(in), given.Name); known != given.Name {
					p.Mend(finding, rule.Edit{Op: "replace", Path: given.Path + ".name", Value: known})
				}
			}
		}
	}
}

// knownParam is a param's name in the case that the interceptor declares.
func knownParam(interceptor, name string) string {
	for _, known := range []string{"filter", "overlays", "secretRef", "eventTypes", "addChangedFiles", "githubOwners",
		"requestedFields"} {
		if strings.EqualFold(known, name) &&
			strict.UnmarshalJSON(triggerJSON(map[string]any{known: nil}), coreParams(interceptor)) == nil {
			return known
		}
	}
	return name
}
