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
	Doc: `Finds values of a trigger's bindings with which its TriggerTemplate makes no JSON, since
what they hold beside their expressions has a quote, a backslash or a new line in it.
Triggers drops every event then; see invalid-json-default.

What the event itself brings is escaped by Triggers, and passes.`,
	Check: checkInvalidJSONBinding,
}

func checkInvalidJSONBinding(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		if t.Template == nil {
			continue
		}
		for _, bound := range t.Bound {
			if char := t.Template.breaks(p, bound.Name, bound.literal()); char != "" {
				p.Report(bound.Path,
					"the value of param %q%s holds %s, so %s makes no JSON of it, and Triggers drops every event: escape it as in a JSON string",
					bound.Name, bound.from(), char, t.Template.Unit)
			}
		}
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
