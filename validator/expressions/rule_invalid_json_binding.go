package expressions

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var invalidJSONBindingRule = &rule.Rule{
	ID:       "invalid-json-binding",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds values of a trigger's bindings with which its TriggerTemplate makes no JSON, so that Triggers
drops every event (see invalid-json-default):

- what they hold beside their expressions has a quote, a backslash or a new line in it;
- an expression is an object or a list: ` + "`$(body)`, `$(header)`, `$(extensions.git)`" + `, or an overlay of CEL that
  makes one. Triggers escapes the texts of an event, and nothing else: what is put into the template is
  ` + "`\"value\":\"[\"push\"]\"`" + `.

Values whose type only the sender knows, such as ` + "`$(body.commits)`" + `, pass here (event-dependent has hints for those of
forges), and so does a TriggerTemplate with the
annotation triggers.tekton.dev/old-escape-quotes: each value is put in by Triggers' own code (v0.37.0).`,
	Check: checkInvalidJSONBinding,
}

func checkInvalidJSONBinding(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		if t.Template == nil {
			continue
		}
		var set *extension
		for _, bound := range t.Bound {
			if char := t.Template.breaks(p, bound.Name, bound.literal()); char != "" {
				p.Report(bound.Path,
					"the value of param %q%s holds %s, so %s makes no JSON of it, and Triggers drops every event: escape it as in a JSON string",
					bound.Name, bound.from(), char, t.Template.Unit)
				continue
			}
			if set == nil {
				set = extensionsOf(ctx, p, t.Trigger)
			}
			reportStructured(p, t, bound, set)
		}
	}
}

func reportStructured(p *rule.Pass, t boundTrigger, bound boundParam, set *extension) {
	value, _ := bound.Value.(string)
	var first structured
	for _, e := range expression.Bound(value) {
		nodes, problem := bindingPath(headerAsWritten(e))
		if !e.Closed || problem != "" {
			continue
		}
		found := structureOf(e.Text, nodes, set)
		if first.what == "" {
			first = found
		}
		value = strings.ReplaceAll(value, e.Text, found.shape.sample())
	}
	if first.what != "" && t.Template.breaks(p, bound.Name, value) != "" {
		p.Report(bound.valuePath(),
			"param %q%s has %s, whose quotes Triggers does not escape, so %s makes no JSON of it, and every event is dropped; it is %s",
			bound.Name, bound.from(), first.text, t.Template.Unit, first.what)
	}
}

// literal is the value with something harmless in the place of what the event brings.
func (b boundParam) literal() string {
	value, _ := b.Value.(string)
	for _, e := range expression.Bound(value) {
		if e.Closed {
			value = strings.ReplaceAll(value, e.Text, "x")
		}
	}
	return value
}
