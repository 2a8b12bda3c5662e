package expression_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/expression"
)

func texts(found []expression.Expression) string {
	var all []string
	for _, e := range found {
		text := e.Inner
		if !e.Closed {
			text += "…"
		}
		all = append(all, text)
	}
	return strings.Join(all, " | ")
}

func TestFind(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"plain":                      "",
		"$(params.a):$(params.b)":    "params.a | params.b",
		"$$(params.a)":               "",
		"$(a.$(b))":                  "a.$(b)",
		"$(a":                        "a…",
		"$(f(x))":                    "f(x)",
		"$(f(x)":                     "f(x)…",
		"$()":                        "",
		"$(":                         "…",
		"100% $(context.taskRun.uid": "context.taskRun.uid…",
	} {
		if got := texts(expression.Find(text)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestNamed(t *testing.T) {
	for text, want := range map[string]string{
		"$(params.a) $(tt.params.b)":        "params.a | tt.params.b",
		"x=$(curl $(params.url))":           "params.url",
		"$$(params.a)":                      "params.a",
		`$(params["a.b"]) $(params['c'])`:   `params["a.b"] | params['c']`,
		"$(params.list[0]) $(params.l[*])":  "params.list[0] | params.l[*]",
		"$(params.a":                        "params.a…",
		"$(params.a && (true))":             "params.a…",
		"$(params.a $(params.b)":            "params.a… | params.b",
		"$(params) $(param.a) $(paramsx.a)": "",
		"$(tt.params.)":                     "tt.params.",
		`$(params["a)`:                      "params…",
		"$(cat x) $(tasks.a.results.b)":     "",
	} {
		if got := texts(expression.Named(text, "params", "tt.params")); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestBound(t *testing.T) {
	for value, want := range map[string]string{
		"$(body.a)-$(header.X-B)":    "body.a | header.X-B",
		"$$(body.a)":                 "body.a",
		"$(body.a":                   "body.a…",
		"$(body.a$(body.b)":          "body.a… | body.b",
		"$(a.$(b))":                  "a.… | b",
		"$(body.l[?(@.a=='b')].c)":   "body.l[?(@.a=='b')].c",
		"$(body.l[?(@.a=='b'].c)":    "body.l[?(@.a=='b'].c)…",
		"none":                       "",
		"$(":                         "…",
		"a $(body.x) ) $(body.y) $(": "body.x | body.y | …",
	} {
		if got := texts(expression.Bound(value)); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	for inner, want := range map[string]string{
		"params.a":                  "params,a",
		`params["a.b"]`:             "params,a.b",
		"params['a.b'].key":         "params,a.b,key",
		"tasks.t.results.urls[*]":   "tasks,t,results,urls,[*]",
		"params.list[12]":           "params,list,[12]",
		" params.a ":                "params,a",
		"cat /etc/passwd":           "",
		"body.l[?(@.a=='b')]":       "",
		"":                          "",
		".a":                        "",
		"a..b":                      "",
		"params. a":                 "",
		"workspaces.source.path":    "workspaces,source,path",
		"steps.build.results.x.bad": "steps,build,results,x,bad",
	} {
		path, ok := expression.Expression{Inner: inner}.Path()
		if got := strings.Join(path, ","); got != want || ok != (want != "") {
			t.Errorf("%s: got %s %v, want %s", inner, got, ok, want)
		}
	}
}

func TestRoot(t *testing.T) {
	for inner, want := range map[string]string{
		"params.a": "params", "tt.params.a": "tt", `params["a"]`: "params", " date +%s": "date", "uid": "uid", "": "",
		"{.body}": "",
	} {
		if got := (expression.Expression{Inner: inner}).Root(); got != want {
			t.Errorf("%s: got %s, want %s", inner, got, want)
		}
	}
}

// FuzzExpressions takes any text: every expression is where it says, they follow one
// another, and one that is closed ends with a parenthesis.
func FuzzExpressions(f *testing.F) {
	for _, text := range []string{"$(params.a)", "$(a.$(b))", "$$(x) $(", `$(params["a)"])`, "$(body.l[?(@.a=='b')].c)",
		"$($($(", "$(tt.params.x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, found := range [][]expression.Expression{
			expression.Find(text), expression.Bound(text), expression.Named(text, "params", "tt.params"),
		} {
			end := 0
			for _, e := range found {
				if e.Start < end || e.End > len(text) || text[e.Start:e.End] != e.Text {
					t.Fatalf("%q: %#v does not stand there", text, e)
				}
				if e.Closed && e.Text != "$("+e.Inner+")" || !e.Closed && e.Text != "$("+e.Inner {
					t.Fatalf("%q: %#v is not what stands in it", text, e)
				}
				_ = e.Root()
				if path, ok := e.Path(); ok && (len(path) == 0 || slices.Contains(path, "") &&
					!strings.ContainsAny(e.Inner, `"'`)) {
					t.Fatalf("%q: path %q", e.Inner, path)
				}
				end = e.End
			}
		}
	})
}
