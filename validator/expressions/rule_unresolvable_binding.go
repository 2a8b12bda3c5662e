package expressions

import (
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var unresolvableBindingRule = &rule.Rule{
	ID:       "unresolvable-binding",
	Severity: rule.Error,
	Kinds:    kindsWithBindings,
	Doc: `Finds values of bindings that no event can have: of something else than body, header,
extensions or context, of a context's field that is not eventID, and headers that are
looked up by a name which is not in the form of Go (` + "`$(header['X-GitHub-Event'])`" + `, while
events have X-Github-Event; written as ` + "`$(header.X-GitHub-Event)`" + ` any case will do). Nor is there an item of
a header, as in ` + "`$(header.X-Forwarded-For[0])`" + `, since several values are one text with commas, nor the headers
Host, Trailer and Transfer-Encoding, which Go's server takes out of a request.

Triggers drops such an event after it has answered 202, or takes the TriggerTemplate's
default for every event (pkg/template/event.go of v0.37.0).

Paths below body and extensions pass, since only the sender knows what is there, and so
do filters and searches.`,
	Check: checkUnresolvableBinding,
}

func checkUnresolvableBinding(_ context.Context, p *rule.Pass) {
	for _, bound := range bindingValuesIn(p) {
		value, _ := bound.Value.(string)
		for _, e := range expression.Bound(value) {
			nodes, problem := bindingPath(headerAsWritten(e))
			if !e.Closed || problem != "" {
				continue
			}
			if reason := impossible(nodes); reason != "" {
				p.Report(bound.Path, "param %q has %s, which no event can have: %s", bound.Name, e.Text, reason)
			}
		}
	}
}
