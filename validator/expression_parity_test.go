package validator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	triggerscel "github.com/tektoncd/triggers/pkg/interceptors/cel"
	"github.com/tektoncd/triggers/pkg/template"
	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/validator"
)

// findings judges a Trigger with the given specification by one rule.
func findings(t testing.TB, id string, spec map[string]any) []string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"apiVersion": "triggers.tekton.dev/v1beta1", "kind": "Trigger",
		"spec": spec})
	if err != nil {
		t.Fatal(err)
	}
	v := &validator.Validator{Config: validator.Default()}
	for _, rule := range validator.Rules {
		if rule.ID == id {
			v.Rules = []*validator.Rule{rule}
		}
	}
	if len(v.Rules) != 1 {
		t.Fatalf("there is no rule %s", id)
	}
	var messages []string
	for _, finding := range v.Judge(t.Context(), subject(t, raw)).Findings {
		messages = append(messages, finding.Message)
	}
	return messages
}

// event is one that has what the expressions below ask for.
const event = `{"ref":"refs/heads/main","action":"opened","number":7,"ok":true,"commits":[{"id":"a","modified":["x"]}],"a.b":"c","none":null}`

// TestCELAsTriggers has Triggers' own interceptor evaluate each filter on an event: what
// it cannot compile the rule reports, and nothing else.
func TestCELAsTriggers(t *testing.T) {
	for filter, broken := range map[string]bool{
		"body.ref == 'refs/heads/main'":                                  false,
		"header.match('X-Event', 'push')":                                false,
		"header.canonical('x-event') == 'push'":                          false,
		"body.ok":                                                        false,
		"body.commits.map(c, c.id).first() == 'a'":                       false,
		"body.commits.exists(c, c.modified.exists(m, m == 'x'))":         false,
		"requestURL.parseURL().path == '/'":                              false,
		"'{\"a\": true}'.parseJSON().a":                                  false,
		"math.greatest(1, 2) == 2":                                       false,
		"sets.contains([1], [1])":                                        false,
		"lists.range(2) == [0, 1]":                                       false,
		"base64.encode(b'x') == 'eA=='":                                  false,
		"body.ref.split('/').last() == 'main' && has(extensions.nobody)": false,
		"body.ref.lowerAscii() == 'refs/heads/main'":                     false,
		"body.ref =":                         true,
		"bdy.ref == ''":                      true,
		"headers.match('a', 'b')":            true,
		"header.match('a')":                  true,
		"'a'.nothing()":                      true,
		"1 + 'a' == 2":                       true,
		"body.ref.truncate('7') == ''":       true,
		"context.eventID == ''":              true,
		"optional.of(1).hasValue()":          true,
		"strings.quote('a') == ''":           false,
		"'a'.matches('(')":                   true,
		"regex.replace('a', 'b', 'c') == ''": true,
		"'":                                  true,
	} {
		response := triggerscel.NewInterceptor(nil).Process(t.Context(), &v1beta1.InterceptorRequest{
			Body: event, Header: http.Header{"X-Event": {"push"}}, Extensions: map[string]any{},
			Context: &v1beta1.TriggerContext{EventURL: "https://hooks.example.com/",
				TriggerID: "namespaces/ci/triggers/t"},
			InterceptorParams: map[string]any{"filter": filter},
		})
		theirs := response.Status.Code == codes.InvalidArgument
		ours := findings(t, "invalid-cel", map[string]any{"interceptors": []any{map[string]any{
			"ref": map[string]any{"name": "cel"}, "params": []any{map[string]any{"name": "filter", "value": filter}},
		}}})
		if theirs != broken || (len(ours) > 0) != broken {
			t.Errorf("%s: wanted broken %v, Triggers says %v (%s), the rule %q",
				filter, broken, theirs, response.Status.Message, ours)
		}
	}
}

// TestBindingsAsTriggers has Triggers' own code resolve each value with an event that
// has all that they ask for: what it cannot resolve one of the two rules reports, and
// nothing else.
func TestBindingsAsTriggers(t *testing.T) {
	for value, broken := range map[string]bool{
		"$(body.ref)":                    false,
		"$({.body.ref})":                 false,
		"$(.body.ref)":                   false,
		"$({body.ref})":                  false,
		"$(body)":                        false,
		"$(Body.ref)":                    false,
		"$()":                            false,
		"$(body['a\\.b'])":               false,
		"$(body.none)":                   false,
		"$(body.commits[0].id)":          false,
		"$(body.commits[-1:].id)":        false,
		"$(body.commits[*].modified[*])": false,
		"$(body.commits[?(@.id=='a')])":  false,
		"$(..id)":                        false,
		"$$(body.ref)":                   false,
		"$(header.x-event)":              false,
		"$(header['X-Event'])":           false,
		"$(extensions.sha)":              false,
		"$(context.eventID)":             false,
		"$(header['x-event'])":           true,
		"$(.header.x-event)":             true,
		"$(context.eventId)":             true,
		"$(event.ref)":                   true,
		"$(body.ref[)":                   true,
		"$(body.commits[a])":             true,
		"$({body.ref)":                   true,
		"$(body{.ref})":                  true,
		"$(body.ref $(tt.params.x)":      true,
		"$(body.commits[0)":              true,
	} {
		_, theirs := template.ResolveParams(template.ResolvedTrigger{BindingParams: []v1beta1.Param{{Name: "p",
			Value: value}}},
			[]byte(event), http.Header{"X-Event": {"push"}}, map[string]any{"sha": "a"},
			template.NewTriggerContext("id"))
		spec := map[string]any{"bindings": []any{map[string]any{"name": "p", "value": value}}}
		ours := append(findings(t, "invalid-jsonpath", spec), findings(t, "unresolvable-binding", spec)...)
		if (theirs != nil) != broken || (len(ours) > 0) != broken {
			t.Errorf("%s: wanted broken %v, Triggers says %v, the rules %q", value, broken, theirs, ours)
		}
	}
}

// TestSecretsAreNotShown judges objects with secrets in odd places: no message has
// any part of one.
func TestSecretsAreNotShown(t *testing.T) {
	const secret = "h4rd-c0ded-S3cret"
	messages := 0
	for _, filter := range []string{
		"header.canonical('X-Token') == '" + secret + "'", "header.canonical('X-Token') == '" + secret,
		"'" + secret + "' '" + secret + "'",
		"header.canonical('X-Token') = '" + secret + "'", "\"" + secret + "\" \"x\"",
		"header.nothing('" + secret + "')",
	} {
		spec := map[string]any{"interceptors": []any{map[string]any{
			"ref": map[string]any{"name": "cel"}, "params": []any{map[string]any{"name": "filter", "value": filter}},
		}}, "bindings": []any{map[string]any{"name": "token", "value": secret}}}
		for _, id := range []string{"invalid-cel", "constant-filter", "literal-password", "literal-token",
			"invalid-json-binding"} {
			for _, message := range findings(t, id, spec) {
				messages++
				if strings.Contains(message, "c0ded") {
					t.Errorf("%s of %s: %s", id, filter, message)
				}
			}
		}
	}
	if want := 12; messages < want { // one of CEL and one of the binding for each
		t.Errorf("only %d messages were looked at", messages)
	}
}
