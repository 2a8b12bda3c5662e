package template

import (
	"errors"
	"fmt"
	"html"
	"strings"
	"testing"
	"testing/fstest"
	texttemplate "text/template"
)

type outer struct {
	Name   string
	Empty  string
	Number *int64
	None   *int64
	List   []inner
	Nobody []inner
	Counts map[string]int
	By     map[level]int
	Level  level
	Any    any
	Ptr    *inner
	hidden string
	embedded
}

type embedded struct{ Promoted bool }

type inner struct {
	Text string
	Tags []string
}

type level int

func (l level) String() string { return fmt.Sprintf("level %d", int(l)) }

func data() outer {
	seven := int64(7)
	return outer{
		Name: "a", Number: &seven, List: []inner{{"x", []string{"p", "q"}}, {"y", nil}},
		Counts: map[string]int{"one": 1}, By: map[level]int{2: 20}, Level: 2, Any: inner{Text: "any"},
		Ptr: &inner{Text: "ptr"}, hidden: "h", embedded: embedded{Promoted: true},
	}
}

var funcs = Funcs{
	"upper": strings.ToUpper,
	"join":  func(sep string, all []string) string { return strings.Join(all, sep) },
	"orNot": func(n *int64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	},
	"fails":  func(string) (string, error) { return "", errors.New("it went wrong") },
	"counts": func(n int, what string) (string, error) { return fmt.Sprint(n, " ", what), nil },
}

func fill(text string) (string, error) {
	t, err := Read(fstest.MapFS{"t": {Data: []byte(text)}}, funcs, nil, "*")
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, "t", data())
	return out.String(), err
}

// What is supported means what it means in text/template.
func TestLikeTextTemplate(t *testing.T) {
	for _, text := range []string{
		`{{.Name}} {{.Number}} {{.Level}} {{print .Level "x" 1}} {{.Any.Text}} {{.Ptr.Text}} {{.Promoted}}`,
		`{{if .Name}}yes{{else}}no{{end}}{{if .Empty}}yes{{else}}no{{end}}{{if .None}}yes{{end}}{{if .Number}}yes{{end}}`,
		`{{if .Empty}}1{{else if .Name}}2{{else}}3{{end}} {{if .Nobody}}1{{end}}{{if .Ptr}}2{{end}}{{if .Any}}3{{end}}`,
		`{{with .Ptr}}{{.Text}}{{$.Name}}{{end}}{{with .Empty}}no{{else}}none{{end}}{{with $x := .Name}}{{$x}}{{.}}{{end}}`,
		`{{range .List}}[{{.Text}}{{range .Tags}} {{.}}{{end}}]{{else}}none{{end}}{{range .Nobody}}x{{else}}none{{end}}`,
		`{{range $i := .List}}{{$i.Text}}{{$.Name}}{{end}}`,
		`{{$n := .Name}}{{range .List}}{{$n := .Text}}{{$n}}{{end}}{{$n}}`,
		`{{.Counts.one}} {{index .Counts "one"}} {{index .Counts "two"}} {{index .By .Level}}`,
		`{{eq .Name "a"}} {{ne .Name "a"}} {{not .Empty}} {{or .Empty .Name}} {{and .Name .Empty}} {{and .Name 1}}`,
		`{{upper .Name}} {{.Name | upper}} {{"lit" | upper}} {{upper (print .Name "b")}}`,
		`{{orNot .Number}} {{orNot .None}} {{counts 3 "apples"}} {{true}} {{3}}`,
		`{{define "part"}}<{{.Text}}{{end}}{{range .List}}{{template "part" .}}{{end}}{{template "bare"}}{{define "bare"}}!{{end}}`,
		"a\n{{- if .Name}}\nb\n{{- end}}\n{{/* a note */ -}}\n c",
	} {
		want, got := new(strings.Builder), ""
		theirs, err := texttemplate.New("t").Funcs(texttemplate.FuncMap(funcs)).Parse(text)
		if err == nil {
			err = theirs.Execute(want, data())
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err = fill(text); err != nil || got != want.String() {
			t.Errorf("%s:\n%q, %v; text/template: %q", text, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{{.Missing}}`:                     "outer has no Missing",
		`{{.hidden}}`:                      "outer has no hidden",
		`{{.Level.String}}`:                "level has no String",
		`{{.None.X}}`:                      "nothing that could have a X",
		`{{.Name "x"}}`:                    "only functions take arguments",
		`{{upper .List}}`:                  "not of type string",
		`{{upper}}`:                        "0 arguments instead of 1",
		`{{fails .Name}}`:                  "it went wrong",
		`{{.None}}`:                        "there is no value",
		`{{range .Name}}{{end}}`:           "string is not a list",
		`{{range $i, $e := .List}}{{end}}`: "one variable at most",
		`{{range .List}}{{break}}{{end}}`:  "not supported",
		`{{$x := 1}}{{$x = 2}}`:            "not assigned to",
		`{{if .Name}}{{range .List}}{{break}}{{end}}{{end}}`: "not supported",
		`{{index .Name "x"}}`:                                "index takes a map",
		`{{index .Counts .Ptr}}`:                             "a key is of type string",
		`{{template "nosuch"}}`:                              `no template "nosuch"`,
		`{{nosuch}}`:                                         `function "nosuch" not defined`,
		`{{1.5}}`:                                            "not supported",
		`{{.Name`:                                            "unclosed action",
	} {
		if got, err := fill(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

// Nothing is written of a text that cannot be filled in.
func TestWholeOrNothing(t *testing.T) {
	if got, err := fill(`before {{fails .Name}}`); err == nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEscape(t *testing.T) {
	files := fstest.MapFS{"p": {Data: []byte(`<a href="#{{.}}">{{.}}</a>{{if .}}<b>{{print . "&"}}</b>{{end}}`)}}
	page := Must(Read(files, nil, html.EscapeString, "p"))
	var out strings.Builder
	if err := page.Execute(&out, "p", `"><script>'&`); err != nil {
		t.Fatal(err)
	}
	const safe = `&#34;&gt;&lt;script&gt;&#39;&amp;`
	if want := `<a href="#` + safe + `">` + safe + `</a><b>` + safe + `&amp;</b>`; out.String() != want {
		t.Errorf("%s\nwant %s", out.String(), want)
	}
}
