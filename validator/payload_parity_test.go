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
)

// payloads are events in which v, w and l are of each type that JSON has.
var payloads = []string{
	`{"v":3,"w":2,"l":[1,2],"s":"abcdef"}`, `{"v":17123456789,"w":1.5,"l":[],"s":"2026-01-01T00:00:00Z"}`,
	`{"v":"3","w":"x","l":["a"],"s":"1s"}`, `{"v":null,"w":null,"l":null,"s":null}`,
	`{"v":true,"w":false,"l":[true],"s":true}`, `{"v":[1],"w":["a"],"l":[[1]],"s":["a"]}`,
	`{"v":{"a":1},"w":{"a":2},"l":[{"a":1}],"s":{"a":1}}`, `{}`,
}

// evaluate has Triggers' own interceptor evaluate an expression as an overlay. It returns its
// JSON, "" where that fails.
func evaluate(t testing.TB, expression, body string) string {
	t.Helper()
	response := triggerscel.NewInterceptor(nil).Process(t.Context(), &v1beta1.InterceptorRequest{
		Body: body, Header: http.Header{"X-Github-Event": {"push"}, "X-Many": {"a", "b"}},
		Extensions:        map[string]any{"n": 1.0},
		Context:           &v1beta1.TriggerContext{TriggerID: "namespaces/ci/triggers/t"},
		InterceptorParams: map[string]any{"overlays": []any{map[string]any{"key": "x", "expression": expression}}},
	})
	if !response.Continue && response.Status.Code != codes.InvalidArgument {
		t.Fatalf("%s: Triggers says %v", expression, response.Status)
	}
	if !response.Continue {
		return ""
	}
	raw, err := json.Marshal(response.Extensions)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(raw), `{"x":`), "}")
}

func overlay(expression string) map[string]any {
	return map[string]any{"interceptors": []any{map[string]any{"ref": map[string]any{"name": "cel"},
		"params": []any{map[string]any{"name": "overlays",
			"value": []any{map[string]any{"key": "x", "expression": expression}}}}}}}
}

// TestCELNeverEvaluates has Triggers evaluate each expression on events with every type of JSON.
// The rule reports those that fail for all of them, and no other.
func TestCELNeverEvaluates(t *testing.T) {
	for expression, never := range map[string]bool{
		"body.v + 1":                                 true,
		"1 + body.v":                                 true,
		"body.v - 1":                                 true,
		"body.v * 2":                                 true,
		"body.v / 2":                                 true,
		"body.v % 2":                                 true,
		"body.v % body.w":                            true,
		"body['v'] + 1":                              true,
		"body.v + 1 == 4":                            true,
		"body.v + size(body.l)":                      true,
		"int(body.v) + body.w":                       true,
		"extensions.n + 1":                           true,
		"header['X-Many'][0] + 1":                    true,
		"'{\"a\":1}'.parseJSON().a + 1":              true,
		"'a: 1'.parseYAML().a + 1":                   true,
		"(has(body.v) ? body.v : body.w) + 1":        true,
		"'abc'.substring(body.v)":                    true,
		"body.s.truncate(body.v)":                    true,
		"math.bitAnd(body.v, 1)":                     true,
		"lists.range(body.v)":                        true,
		"duration('1h') + body.v":                    true,
		"timestamp('2026-01-01T00:00:00Z') < body.s": true,
		"header['X-GitHub-Event']":                   true,
		"header['x-github-event'][0]":                true,
		"header.accept":                              true,
		"header['Host']":                             true,
		"body.v + 1.0":                               false,
		"body.v * 2.0":                               false,
		"body.v + body.w":                            false,
		"body.v + 'x'":                               false,
		"body.l + [1]":                               false,
		"int(body.v) + 1":                            false,
		"int(body.v) % 2 == 0":                       false,
		"-body.v":                                    false,
		"body.v == 3":                                false,
		"body.v > 2":                                 false,
		"body.v in [3]":                              false,
		"body.l[0] == 1":                             false,
		"body.l[int(body.w) - 1]":                    false,
		"size(body.l) + 1":                           false,
		"body.l.size() % 2 == 0":                     false,
		"math.greatest(body.v, 1)":                   false,
		"has(body.v) ? 1 : 2":                        false,
		"(has(body.v) ? 1 : 2) + 1":                  false,
		"[1, 2].exists(x, x + 1 == body.v)":          false,
		"body.l.map(x, x + 1.0)":                     false,
		"body.l.map(x, size(body.l) + 1)":            false,
		"timestamp(body.s) < timestamp('2027-01-01T00:00:00Z')": false,
		"duration(body.s) < duration('1h')":                     false,
		"'abc'.substring(int(body.w))":                          false,
		"header.canonical('x-github-event')":                    false,
		"header['X-Github-Event'][0]":                           false,
		"has(header.Accept)":                                    false,
		"body.s.split('').map(c, size(c) + 1)":                  false,
	} {
		worked := 0
		for _, body := range payloads {
			if evaluate(t, expression, body) != "" {
				worked++
			}
		}
		ours := findings(t, "invalid-cel", overlay(expression))
		if (worked == 0) != never || (len(ours) > 0) != never {
			t.Errorf("%s: wanted never %v, it worked for %d of %d events, the rule says %q",
				expression, never, worked, len(payloads), ours)
		}
	}
}

// TestCELInMacros does the same where a macro's body is evaluated for lists that have items alone.
func TestCELInMacros(t *testing.T) {
	for expression, never := range map[string]bool{
		"body.l.exists(x, x % 2 == 0)":                true,
		"body.l.all(x, x + 1 > 1)":                    true,
		"body.l.map(x, x + 1)":                        true,
		"body.l.filter(x, x % 2 == 0)":                true,
		"body.l.exists(x, [x].exists(y, y % 2 == 0))": false, // y is of a list of its own: nothing is said
		"body.l.exists(x, int(x) % 2 == 0)":           false,
		"body.l.map(x, x * 2.0)":                      false,
		"body.l.filter(x, x > 1)":                     false,
		"body.l.exists(body, body == 1)":              false,
		"[1, 2].exists(body, body + 1 == 2)":          false,
		"[1, 2].map(header, header + 1)":              false,
	} {
		worked := evaluate(t, expression, `{"l":[1,2]}`) != ""
		ours := findings(t, "invalid-cel", overlay(expression))
		if never && worked || (len(ours) > 0) != never {
			t.Errorf("%s: wanted never %v, it worked %v, the rule says %q", expression, never, worked, ours)
		}
	}
}

// TestHeadersLookedUp has Triggers look headers up that the event has: what is not found the rule
// reports, and nothing else.
func TestHeadersLookedUp(t *testing.T) {
	for filter, never := range map[string]bool{
		"'X-GitHub-Event' in header":                    true,
		"has(header.Xmany)":                             false, // an event may have it
		"header['X-GitHub-Event'][0] == 'push'":         true,
		"header.match('Host', 'example.com')":           true,
		"header.canonical('host') == 'example.com'":     true,
		"has(header.host)":                              true,
		"'X-Github-Event' in header":                    false,
		"header.match('x-github-event', 'push')":        false,
		"header.canonical('X-GITHUB-EVENT') == 'push'":  false,
		"header['X-Github-Event'][0] == 'push'":         false,
		"['header'].exists(header, header == 'header')": false,
	} {
		passes := evaluate(t, filter, "{}") == "true"
		ours := findings(t, "invalid-cel", overlay(filter))
		if never && passes || (len(ours) > 0) != never {
			t.Errorf("%s: wanted never %v, it passes %v, the rule says %q", filter, never, passes, ours)
		}
	}
}

// resolve has Triggers' own code put an event into a binding's value.
func resolve(value, body string) (string, error) {
	params, err := template.ResolveParams(template.ResolvedTrigger{
		BindingParams: []v1beta1.Param{{Name: "p", Value: value}}}, []byte(body),
		http.Header{"X-Github-Event": {"push"}, "X-Many": {"a", "b"}, "Content-Length": {"2"}}, map[string]any{},
		template.NewTriggerContext("id"))
	if err != nil {
		return "", err
	}
	return params[0].Value, nil
}

// TestBindingsNeverResolved has Triggers put events into each value. What it resolves for none of
// them the rules report, and nothing else.
func TestBindingsNeverResolved(t *testing.T) {
	events := []string{
		`{"l":[{"id":1,"n":"x"},{"id":2,"n":"y"}],"ok":[{"t":true}],"a":{"b":1},"a.b":2}`,
		`{"l":[{"id":"1","n":"2"}],"ok":[{"t":"true"}]}`,
	}
	for value, never := range map[string]bool{
		"$(body.l[?(@.id==2)].n)":     true,
		"$(body.l[?(@.id!=2)].n)":     true,
		"$(body.l[?(@.id>1)].n)":      true,
		"$(body.l[?(2==@.id)].n)":     true,
		"$(body.l[?(@.id==-1)].n)":    true,
		"$(header.X-Many[0])":         true,
		"$(header['X-Many'][0])":      true,
		"$(header.X-Many[*])":         true,
		"$(header.x-many[0:1])":       true,
		"$(header.X-Many.y)":          true,
		"$(header.Host)":              true,
		"$(header.transfer-encoding)": true,
		"$(header['Host'])":           true,
		"$(body.l[?(@.id==2.0)].n)":   false,
		"$(body.l[?(@.n=='2')].n)":    false,
		"$(body.l[?(@.n==\"2\")].n)":  false,
		"$(body.l[?(@.id)].n)":        false,
		"$(body.ok[?(@.t==true)].t)":  false,
		"$(body.l[0].n)":              false,
		"$(body.l[-1:].n)":            false,
		"$(body.l[*].n)":              false,
		"$(body['a.b'])":              false,
		"$(body['a\\.b'])":            false,
		"$(header.x-many)":            false,
		"$(header['X-Many'])":         false,
		"$(header.*)":                 false,
		"$(header.content-length)":    false,
	} {
		resolved := 0
		for _, body := range events {
			if _, err := resolve(value, body); err == nil {
				resolved++
			}
		}
		spec := map[string]any{"bindings": []any{map[string]any{"name": "p", "value": value}}}
		ours := append(findings(t, "invalid-jsonpath", spec), findings(t, "unresolvable-binding", spec)...)
		if (resolved == 0) != never || (len(ours) > 0) != never {
			t.Errorf("%s: wanted never %v, resolved for %d of %d events, the rules say %q",
				value, never, resolved, len(events), ours)
		}
	}
}

// TestUnopenedStays has Triggers leave values without an opening parenthesis as they are.
func TestUnopenedStays(t *testing.T) {
	const body = `{"n":"x","m":"y"}`
	for value, stays := range map[string]string{
		"$body.n)":             "$body.n)",
		"a-$body.n) $(body.m)": "a-$body.n) y",
		"($body['n'])":         "($body['n'])",
		"$(body.n)":            "",
		"($(body.n))":          "",
		"costs $5 (body.n)":    "",
		"$bodyn)":              "",
		"$body.n":              "",
	} {
		got, err := resolve(value, body)
		if err != nil || stays != "" && got != stays {
			t.Errorf("%s: Triggers makes %q of it (%v), want %q", value, got, err, stays)
		}
		ours := findings(t, "unterminated-expression", map[string]any{
			"bindings": []any{map[string]any{"name": "p", "value": value}}})
		if (len(ours) > 0) != (stays != "") {
			t.Errorf("%s: the rule says %q", value, ours)
		}
	}
}

// TestParamsInDefaults has Triggers put a template's defaults in: a param in one is never filled in.
func TestParamsInDefaults(t *testing.T) {
	inner := "$(tt.params.other)"
	outcomes := map[string]bool{}
	for range 64 {
		resolved := template.ResolvedTrigger{
			TriggerTemplate: &v1beta1.TriggerTemplate{Spec: v1beta1.TriggerTemplateSpec{
				Params: []v1beta1.ParamSpec{{Name: "p", Default: &inner}, {Name: "other"}}}},
			BindingParams: []v1beta1.Param{{Name: "other", Value: "O"}},
		}
		params, err := template.ResolveParams(resolved, []byte("{}"), nil, nil, template.NewTriggerContext("id"))
		if err != nil {
			t.Fatal(err)
		}
		resource := v1beta1.TriggerResourceTemplate{}
		resource.Raw = []byte(`"$(tt.params.p)"`)
		resolved.TriggerTemplate.Spec.ResourceTemplates = []v1beta1.TriggerResourceTemplate{resource}
		outcomes[string(template.ResolveResources(resolved.TriggerTemplate, params)[0])] = true
	}
	delete(outcomes, `"$O"`)
	delete(outcomes, `"$$(tt.params.other)"`)
	if len(outcomes) > 0 {
		t.Errorf("Triggers also makes %v of it", outcomes)
	}
	ours := findings(t, "stray-template-param", map[string]any{"template": map[string]any{"spec": map[string]any{
		"params": []any{map[string]any{"name": "p", "default": inner}, map[string]any{"name": "other", "default": "$(x)"}},
	}}})
	if len(ours) != 1 {
		t.Errorf("the rule says %q", ours)
	}
}
