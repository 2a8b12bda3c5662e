package expressions

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

// kindsWithBindings are the kinds in which values of bindings stand.
var kindsWithBindings = slices.Concat(rule.Bindings, rule.WithTriggers)

var invalidJSONPathRule = &rule.Rule{
	ID:       "invalid-jsonpath",
	Severity: rule.Error,
	Kinds:    kindsWithBindings,
	Doc: `Finds values of bindings in which what stands in ` + "`$(…)`" + ` is no JSONPath, in
TriggerBindings, ClusterTriggerBindings and in the bindings that a trigger writes out.

Tekton checks it when an event comes: the event is dropped, and its sender has got a 202
before. Where the TriggerTemplate has a default for the param, that is taken for every
event, and nothing is logged at all.

A word behind a blank, such as ` + "`$(body.a b)`" + `, is parsed, and fails in each event: "unrecognized identifier".

Filters that compare with an integer, such as ` + "`$(body.items[?(@.id==2)].name)`" + `, are reported too: numbers of an
event are floats in Triggers, and client-go compares these with no integer ("incompatible types for comparison"),
so such a filter fails on the first item. Write ` + "`==2.0`" + `.

The path is parsed by client-go, in the form that Triggers v0.37.0 gives it
(pkg/template/jsonpath.go): a.b, .a.b, {a.b} or {.a.b}.`,
	Check: checkInvalidJSONPath,
}

func checkInvalidJSONPath(_ context.Context, p *rule.Pass) {
	for _, bound := range bindingValuesIn(p) {
		value, _ := bound.Value.(string)
		for _, e := range expression.Bound(value) {
			if !e.Closed {
				continue
			}
			nodes, problem := bindingPath(headerAsWritten(e))
			if problem != "" {
				p.Report(bound.Path,
					"param %q has %s, which is no JSONPath, so Triggers drops every event or takes the default: %s",
					bound.Name, e.Text, problem)
			} else if number, is := incomparable(nodes); is {
				p.Report(bound.Path,
					"param %q has %s, which compares with an integer, and numbers of an event are floats, so it finds nothing in any event: write %s",
					bound.Name, e.Text, number)
			}
		}
	}
}
