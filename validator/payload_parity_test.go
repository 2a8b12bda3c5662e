package validator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	triggerscel "github.com/tektoncd/triggers/pkg/interceptors/cel"
	"github.com/tektoncd/triggers/pkg/template"
	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/validator"
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

// filterEvents are events among which there is one that each filter below lets pass, if there is any.
var filterEvents = []string{
	`{}`, `{"n":3,"m":2,"x":"a","ok":true,"number":7,"commits":[{"n":3,"id":"c1","ok":true}]}`,
	`{"n":"3","m":"2","x":"b","ok":false,"number":"7","commits":[{"n":"3","id":"c2"}]}`,
	`{"n":3,"x":"a","ok":false,"commits":[]}`, `{"n":[1],"m":{},"x":null,"ok":true,"commits":{"a":1}}`,
}

// passing returns for how many events Triggers evaluates a filter to true.
func passing(t testing.TB, filter string, events []string) int {
	t.Helper()
	passed := 0
	for _, body := range events {
		if evaluate(t, filter, body) == "true" {
			passed++
		}
	}
	return passed
}

func filtered(expression string) map[string]any {
	return map[string]any{"interceptors": []any{map[string]any{"ref": map[string]any{"name": "cel"},
		"params": []any{map[string]any{"name": "filter", "value": expression}}}}}
}

// TestFiltersNeverPass has Triggers evaluate filters with parts that always fail: the rule reports those
// that let no event pass, and no other. The others have a hint, unless they ask for a type first.
func TestFiltersNeverPass(t *testing.T) {
	for filter, want := range map[string]struct{ never, hinted bool }{
		"header['X-GitHub-Event'][0] == 'push' || header.match('X-GitHub-Event','push')": {false, true},
		"'X-GitHub-Event' in header || header.match('X-GitHub-Event','push')":            {false, true},
		"!('X-GitHub-Event' in header)":                                                  {false, true},
		"body.n + 1 > 3 || body.x == 'a'":                                                {false, true},
		"body.x == 'a' || body.n + 1 > 3 || body.ok":                                     {false, true},
		"body.commits.exists(c, c.n + 1 > 2 || c.id == 'c1')":                            {false, true},
		"body.commits.all(c, c.n + 1 > 2 || c.id == 'c1')":                               {false, true},
		"!(type(body.n) == int) || body.n + 1 > 3":                                       {false, false},
		"type(body.n) == int ? body.n + 1 > 2 : body.n + 1.0 > 2.0":                      {false, false},
		"has(body.m) ? body.n + 1 > 2 : body.x == 'a'":                                   {false, true},
		"!(body.n + 1 > 3 && body.x == 'a')":                                             {false, true},
		"header['X-Github-Event'] != 'push'":                                             {false, true},
		"!(header['X-Github-Event'] == 'push')":                                          {false, true},
		"header['X-Github-Event'] == 'push' || body.ok":                                  {false, true},
		"header.canonical('Host') != 'a'":                                                {false, true},
		"header.match('Host', '')":                                                       {false, true},
		"'push' in header['X-Github-Event']":                                             {false, false},
		"header['X-Github-Event'] == ['push']":                                           {false, false},
		"header['X-Github-Event'].size() == 1":                                           {false, false},
		"header['X-Github-Event'] == 'push'":                                             {true, false},
		"'push' == header['X-Github-Event']":                                             {true, false},
		"header['X-Github-Event'] == 1":                                                  {true, false},
		"header['X-Github-Event'] in ['push']":                                           {true, false},
		"header['X-Github-Event'].contains('push')":                                      {true, false},
		"header['X-Github-Event'].startsWith('pu')":                                      {true, false},
		"header['X-Github-Event'].matches('pu')":                                         {true, false},
		"header['X-Github-Event'] + 'x' == 'pushx'":                                      {true, false},
		"body.x == 'a' && body.n + 1 > 3":                                                {true, false},
		"(body.n + 1 > 3 || body.x == 'a') && body.m % 2 == 0":                           {true, true},
		"body.n + 1 > 3 || body.m + 1 > 3":                                               {true, false},
		"body.commits.exists(c, c.n + 1 > 2)":                                            {true, false},
		"body.commits.exists(c, c.id == 'c1' && c.n + 1 > 2)":                            {true, false},
		"body.commits.filter(c, c.n + 1 > 2).size() > 0":                                 {true, false},
		"!(body.n + 1 > 3)":                                                              {true, false},
		"body.ok ? body.n % 2 == 0 : body.n % 2 == 1":                                    {true, false},
		"'x-event' in header ? body.ok : false":                                          {true, false},
		"header.canonical('Host').startsWith('a')":                                       {true, false},
	} {
		passed := passing(t, filter, filterEvents)
		ours, hints := findings(t, "invalid-cel", filtered(filter)), findings(t, "event-dependent", filtered(filter))
		if (passed == 0) != want.never || (len(ours) > 0) != want.never || (len(hints) > 0) != want.hinted {
			t.Errorf("%s: wanted %+v, it passes %d events, the rules say %q and %q", filter, want, passed, ours, hints)
		}
	}
}

// TestFiltersPutTogether puts parts that fail and parts that do not together by each operator. What Triggers
// evaluates to true for an event the rule never reports.
func TestFiltersPutTogether(t *testing.T) {
	parts := []string{"body.n + 1 > 3", "body.x == 'a'", "'X-GitHub-Event' in header", "header['X-Github-Event'] == 'push'",
		"header.canonical('Host') == 'a'", "true"}
	forms := []string{"%s && %s", "%s || %s", "(%s) == (%s)", "!(%s && %s)", "!(%s) || !(%s)", "(%s) ? (%s) : body.ok",
		"body.ok ? (%s) : (%s)", "(%s) ? true : (%s)", "[1].exists(i, %s || %s)", "[1].all(i, %s && %s)",
		"[1].exists_one(i, (%s) != (%s))", "[%s, %s].exists(v, v)", "!([1].exists(i, %s && %s))", "(%s) in [%s]"}
	reported, passable := 0, 0
	for _, form := range forms {
		for _, one := range parts {
			for _, other := range parts {
				filter := fmt.Sprintf(form, one, other)
				never := len(findings(t, "invalid-cel", filtered(filter))) > 0
				passed := passing(t, filter, filterEvents[1:3])
				if never && passed > 0 {
					t.Errorf("%s passes %d events, and is reported", filter, passed)
				}
				if never {
					reported++
				}
				if passed > 0 {
					passable++
				}
			}
		}
	}
	if reported < 100 || passable < 100 {
		t.Errorf("%d are reported and %d pass, so this proves little", reported, passable)
	}
}

// TestNumbersForTexts has Triggers apply functions of texts to what forges send as a number: what fails has a hint.
func TestNumbersForTexts(t *testing.T) {
	const body = `{"number":7,"name":"x","object_attributes":{"iid":3},"l":[{"id":7}]}`
	for expression, fails := range map[string]bool{
		"'pr-' + body.number": true, "body.number + '-x'": true, "'pr-' + body.object_attributes.iid": true,
		"body.number.matches('7')": true, "size(body.number)": true, "body.l.map(i, 'a' + i.id)": true,
		"'pr-' + string(int(body.number))": false, "string(body.number)": false, "body.number > 1": false,
		"body.number + 1.0": false, "body.number in [7]": false, "body.number == '7'": false, "'a' + body.name": false,
		"body.name.matches('7')": false, "[7.0][int(body.number) - 7]": false,
		"type(body.number) == string ? size(body.number) : 0": false,
	} {
		got, ours := evaluate(t, expression, body), findings(t, "event-dependent", overlay(expression))
		if (got == "") != fails || (len(ours) == 1) != fails || len(ours) > 1 {
			t.Errorf("%s: wanted fails %v, Triggers makes %q of it, the rule says %q", expression, fails, got, ours)
		}
	}
}

// TestFewFaults holds that an expression with very many faults has few findings.
func TestFewFaults(t *testing.T) {
	filter := "body.n + 1 > 2"
	for i := range 500 {
		filter += fmt.Sprintf(" && body.n%d + 1 > 2", i)
	}
	ours := findings(t, "invalid-cel", filtered(filter))
	if len(ours) != 5 || !strings.HasSuffix(ours[4], "(and 496 more of the kind)") {
		t.Errorf("there are %d findings: %q", len(ours), ours)
	}
	for _, filter := range []string{strings.Repeat("(", 400) + "1" + strings.Repeat(")",
		400), "a", "(((", "body.ref ==\n"} {
		for _, message := range findings(t, "invalid-cel", filtered(filter)) {
			if strings.Contains(message, "column 0") || strings.Contains(message, "line 0") {
				t.Errorf("%.20s: %s", filter, message)
			}
		}
	}
}

// TestOverlayKeys has Triggers set overlays at keys: those whose value is nowhere in the extensions the rule
// reports, and no other.
func TestOverlayKeys(t *testing.T) {
	for key, lost := range map[string]bool{"a.*": true, "a#": true, "a|b": true, "a?": true, "@x": true, "#": true,
		"a.@b": true, "a@b": true, "a.#": true, "*": true, "a.b|c": true, "": true,
		"any.0": false, "a:1": false, "a b": false,
		"a/b": false, `a\.b`: false, "{a}": false, "!a": false, "a=b": false, "0": false,
		"$x": false, "short-sha": false,
		"short_sha": false, "pull.branch": false, "ä": false, `a\*`: false} {
		response := triggerscel.NewInterceptor(nil).Process(t.Context(), &v1beta1.InterceptorRequest{
			Body: "{}", Context: &v1beta1.TriggerContext{TriggerID: "namespaces/ci/triggers/t"},
			InterceptorParams: map[string]any{"overlays": []any{map[string]any{"key": key, "expression": "'v'"}}},
		})
		ours := findings(t, "invalid-cel", map[string]any{"interceptors": []any{map[string]any{
			"ref": map[string]any{"name": "cel"}, "params": []any{map[string]any{"name": "overlays",
				"value": []any{map[string]any{"key": key, "expression": "'v'"}}}}}}})
		if (len(response.Extensions) == 0) != lost || (len(ours) == 1) != lost {
			t.Errorf("%q: wanted lost %v, Triggers sets %v, the rule says %q", key, lost, response.Extensions, ours)
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
		`{"l":[{"id":1,"n":"x"},{"id":2,"n":"y"}],"ok":[{"t":true}],"a":{"b":1},"a.b":2,"c d":3}`,
		`{"l":[{"id":"1","n":"2"}],"ok":[{"t":"true"}]}`,
	}
	for value, never := range map[string]bool{
		"$(body.l[?(@.id==2)].n)":     true,
		"$(body.l[?(@.id!=2)].n)":     true,
		"$(body.l[?(@.id>1)].n)":      true,
		"$(body.l[?(2==@.id)].n)":     true,
		"$(body.l[?(@.id==-1)].n)":    true,
		"$(body.a b)":                 true,
		"$(body.l[0] x)":              true,
		"$(body.a end)":               true,
		"$(body.a-b c)":               true,
		"$(body.l[?(@.n==x)].id)":     true,
		"$(body['c d'])":              true,
		"$(body.a 'b')":               false,
		"$(body.a 1)":                 false,
		"$(body.a  )":                 false,
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
		"params": []any{map[string]any{"name": "p", "default": inner},
			map[string]any{"name": "other", "default": "$(x)"}},
	}}})
	if len(ours) != 1 {
		t.Errorf("the rule says %q", ours)
	}
}

// TestCELDependsOnEvent has Triggers evaluate expressions on two events: what works for the first
// and fails, or differs, for the second the rule has a hint for, and for nothing else.
func TestCELDependsOnEvent(t *testing.T) {
	const (
		first  = `{"id":7,"big":9007199254740993,"head_commit":{"id":"a"},"commits":[{"id":"a"}],"number":7,"base_ref":"x"}`
		second = `{"id":17123456789,"big":9007199254740992,"head_commit":null,"commits":null,"number":8,"base_ref":null}`
	)
	for expression, want := range map[string]struct {
		first, second string
		hinted        bool
	}{
		"string(body.id)":                                    {`"7"`, `"1.7123456789e+10"`, true},
		"string(body['id'])":                                 {`"7"`, `"1.7123456789e+10"`, true},
		"'id-' + string(body.id)":                            {`"id-7"`, `"id-1.7123456789e+10"`, true},
		"string(body.number) == '17123456789'":               {"false", "false", true},
		"string(int(body.id))":                               {`"7"`, `"17123456789"`, false},
		"string(body.number)":                                {`"7"`, `"8"`, false},
		"string(int(body.number)) == '17123456789'":          {"false", "false", false},
		"body.big == 9007199254740993":                       {"true", "true", true},
		"int(body.big) == 9007199254740993":                  {"false", "false", true},
		"body.big > 9007199254740993.0":                      {"false", "false", true},
		"body.big >= 9007199254740991":                       {"true", "true", false},
		"body.id == 17123456789":                             {"false", "true", false},
		"has(body.head_commit) && body.head_commit.id != ''": {"true", "", true},
		"has(body.head_commit) ? body.head_commit.id : ''":   {`"a"`, "", true},
		"has(body.number) && has(body.head_commit) && body.head_commit['id'] != ''":      {"true", "", true},
		"has(body.commits) && body.commits.size() > 0":                                   {"true", "", true},
		"has(body.commits) && size(body.commits) > 0":                                    {"true", "", true},
		"has(body.commits) && body.commits.exists(c, c.id == 'a')":                       {"true", "", true},
		"has(body.head_commit) && body.head_commit != null && body.head_commit.id != ''": {"true", "false", false},
		"has(body.head_commit.id) && body.head_commit.id != ''":                          {"true", "false", false},
		"has(body.head_commit) && has(body.head_commit.id) && body.head_commit.id != ''": {"true", "false", false},
		"has(body.head_commit)":                      {"true", "true", false},
		"has(body.base_ref) && body.base_ref == 'x'": {"true", "false", false},
		"has(body.number) && body.number > 7":        {"false", "true", false},
	} {
		got, other := evaluate(t, expression, first), evaluate(t, expression, second)
		ours := findings(t, "event-dependent", overlay(expression))
		if got != want.first || other != want.second || (len(ours) == 1) != want.hinted || len(ours) > 1 {
			t.Errorf("%s: wanted %v, Triggers makes %s and %s of it, the rule says %q", expression, want, got, other, ours)
		}
	}
}

// bound is a trigger whose one binding is put into a quoted text, with a default.
func bound(value string) map[string]any {
	return map[string]any{
		"bindings": []any{map[string]any{"name": "p", "value": value}},
		"template": map[string]any{"spec": map[string]any{
			"params": []any{map[string]any{"name": "p", "default": "none"}},
			"resourcetemplates": []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
				"data": map[string]any{"p": "$(tt.params.p)"}}},
		}},
	}
}

// created is what Triggers makes of the trigger above, "" where that is no JSON.
func created(t testing.TB, value, body string) string {
	t.Helper()
	fallback := "none"
	resolved := template.ResolvedTrigger{
		BindingParams: []v1beta1.Param{{Name: "p", Value: value}},
		TriggerTemplate: &v1beta1.TriggerTemplate{Spec: v1beta1.TriggerTemplateSpec{
			Params: []v1beta1.ParamSpec{{Name: "p", Default: &fallback}}}},
	}
	params, err := template.ResolveParams(resolved, []byte(body), http.Header{}, nil, template.NewTriggerContext("id"))
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	resource := v1beta1.TriggerResourceTemplate{}
	resource.Raw = []byte(`{"p":"$(tt.params.p)"}`)
	resolved.TriggerTemplate.Spec.ResourceTemplates = []v1beta1.TriggerResourceTemplate{resource}
	var made struct {
		P string `json:"p"`
	}
	if json.Unmarshal(template.ResolveResources(resolved.TriggerTemplate, params)[0], &made) != nil {
		return ""
	}
	return made.P
}

// TestBindingsDependOnEvent has Triggers put two events into a template. Where the second gives
// something else than a value or the default, the rule has a hint, and nowhere else.
func TestBindingsDependOnEvent(t *testing.T) {
	const (
		first = `{"ref":"r","after":"x","commits":[{"id":"a","n":9007199254740993.0}],"head_commit":{"id":"a","modified":[]},
			"base_ref":"b","a":{"b":"below"},"a.b":"named","repository":{"name":"x"}}`
		second = `{"ref":"r","after":"y","commits":null,"head_commit":null,"base_ref":null,"a.b":"named"}`
		third  = `{"ref":"r","after":"z","commits":[{"id":"a","n":1},{"id":"b","n":2}],"head_commit":{"id":"a","modified":["x"]},
			"a":{"b":"below"},"a.b":"named"}`
	)
	for value, want := range map[string]struct {
		made   [3]string
		hinted bool
	}{
		"$(body.base_ref)":                  {[3]string{"b", "null", "none"}, true},
		"$(body.head_commit.id)":            {[3]string{"a", "none", "a"}, false},
		"$(body.commits[0].id)":             {[3]string{"a", "[]", "a"}, true},
		"$(body.commits[-1:].id)":           {[3]string{"a", "[]", "b"}, true},
		"$(body.commits[*].id)":             {[3]string{"a", "[]", ""}, true},
		"$(body.commits[0:].id)":            {[3]string{"a", "[]", ""}, true},
		"ids: $(body.commits[*].id)":        {[3]string{"ids: a", "ids: []", ""}, true},
		"$(body.head_commit.modified)":      {[3]string{"[]", "none", ""}, true},
		"$(body.head_commit)":               {[3]string{"", "null", ""}, true},
		"$(body.after)":                     {[3]string{"x", "y", "z"}, false},
		"$(body.repository.name)":           {[3]string{"x", "none", "none"}, false},
		"$(body['a']['b'])":                 {[3]string{"below", "none", "below"}, false},
		"$(body['a.b'])":                    {[3]string{"below", "none", "below"}, true},
		`$(body['a\.b'])`:                   {[3]string{"named", "named", "named"}, false},
		`$(body.a\.b)`:                      {[3]string{"named", "named", "named"}, false},
		"$()":                               {[3]string{"", "", ""}, true},
		"$(body.commits[1].id)/$(body.ref)": {[3]string{"none/r", "[]/r", "b/r"}, true},
	} {
		got := [3]string{created(t, value, first), created(t, value, second), created(t, value, third)}
		ours := findings(t, "event-dependent", bound(value))
		if got != want.made || (len(ours) == 1) != want.hinted || len(ours) > 1 {
			t.Errorf("%s: wanted %q (hinted %v), Triggers makes %q of it, the rule says %q", value, want.made, want.hinted, got, ours)
		}
	}
}

// TestFiltersWithoutHit has Triggers take [] for a filter that nothing fits, and not the default.
func TestFiltersWithoutHit(t *testing.T) {
	const value = "$(body.l[?(@.n=='x')].id)"
	if got := created(t, value, `{"l":[{"n":"y","id":1}]}`); got != "[]" {
		t.Errorf("Triggers makes %q of it", got)
	}
	if ours := findings(t, "event-dependent", bound(value)); len(ours) != 1 {
		t.Errorf("with a default the rule says %q", ours)
	}
	spec := bound(value)
	spec["template"] = map[string]any{"spec": map[string]any{"params": []any{map[string]any{"name": "p"}}}}
	if ours := findings(t, "event-dependent", spec); len(ours) != 0 {
		t.Errorf("without a default the rule says %q", ours)
	}
	if ours := findings(t, "event-dependent", bound("$(body.l[?(@.id==9007199254740993.0)].n)")); len(ours) != 2 {
		t.Errorf("of a number that no float holds the rule says %q", ours)
	}
}

// TestDollarsOfDefaults has Triggers put a default with an expression of Pipelines in.
func TestDollarsOfDefaults(t *testing.T) {
	for value, want := range map[string]string{
		"$(date)": "$$(date)", "a $(params.b)": "a $$(params.b)", "$date": "$date", "${date}": "${date}",
	} {
		resource := v1beta1.TriggerResourceTemplate{}
		resource.Raw = []byte(`"$(tt.params.p)"`)
		whole := &v1beta1.TriggerTemplate{Spec: v1beta1.TriggerTemplateSpec{
			ResourceTemplates: []v1beta1.TriggerResourceTemplate{resource}}}
		got := string(template.ResolveResources(whole, []v1beta1.Param{{Name: "p", Value: value}})[0])
		ours := findings(t, "event-dependent", map[string]any{"template": map[string]any{"spec": map[string]any{
			"params": []any{map[string]any{"name": "p", "default": value}}}}})
		if got != `"`+want+`"` || (len(ours) > 0) != (want != value) {
			t.Errorf("%s: Triggers makes %s of it, the rule says %q", value, got, ours)
		}
	}
}

// TestRevisionsAsGit fetches revisions as the git resolver does, from a repository that has a
// branch, a tag and two commits: the rule reports those that cannot be fetched, and no other.
func TestRevisionsAsGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	from, to := t.TempDir(), t.TempDir()
	git := func(folder string, args ...string) (string, error) {
		command := exec.CommandContext(t.Context(), "git", append([]string{"-C", folder, "-c", "user.name=a",
			"-c", "user.email=a@example.com", "-c", "protocol.file.allow=always"}, args...)...)
		command.Env = append(command.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := command.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"commit", "-q", "--allow-empty", "-m", "a"},
		{"commit", "-q", "--allow-empty", "-m", "b"}, {"tag", "v1"}, {"branch", "deadbeef"}, {"branch", "20260401"}} {
		if out, err := git(from, args...); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	if out, err := git(to, "init", "-q"); err != nil {
		t.Fatalf("git init: %v: %s", err, out)
	}
	commit, err := git(from, "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{"main": true, "v1": true, "refs/heads/main": true, "HEAD": true, commit: true,
		"deadbeef": true, "20260401": true, "main~1": false, "v1^": false, "main@{1}": false, "v1..main": false,
		"ma*": false, "ma in": false, "v[1]": false, "ma?n": false, "main\\": false, "main\n": false}
	// A commit that begins with ten digits or letters alone would pass.
	if short := commit[:10]; strings.ContainsAny(short, "0123456789") && strings.ContainsAny(short, "abcdef") {
		tests[short] = false
	}
	for revision, fetched := range tests {
		out, err := git(to, "fetch", from, "--depth=1", "--", revision)
		if (err == nil) != fetched {
			t.Errorf("git fetches %q: %v: %s", revision, err, out)
		}
		raw, err := json.Marshal(map[string]any{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
			"spec": map[string]any{"taskRef": map[string]any{"resolver": "git", "params": []any{
				map[string]any{"name": "url", "value": "https://git.example.com/a.git"},
				map[string]any{"name": "revision", "value": revision}}}}})
		if err != nil {
			t.Fatal(err)
		}
		v := &validator.Validator{Config: validator.Default()}
		found := 0
		for _, f := range v.Judge(t.Context(), subject(t, raw)).Findings {
			if f.Rule == "git-revision" {
				found++
			}
		}
		if (found == 0) != fetched {
			t.Errorf("%q: the rule has %d findings", revision, found)
		}
	}
}
