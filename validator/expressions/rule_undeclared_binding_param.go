package expressions

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/validator/rule"
)

var undeclaredBindingParamRule = &rule.Rule{
	ID:       "undeclared-binding-param",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds params that a trigger binds and that its TriggerTemplate does not declare: their
value goes nowhere, and most of them are misspelt.

A param of a TriggerBinding that is an object of its own is told of only where its name
is close to that of a param that is bound nowhere: a binding often serves several
templates, none of which wants all of it.`,
	Check: checkUndeclaredBindingParam,
}

func checkUndeclaredBindingParam(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		if t.Template == nil {
			continue
		}
		var free []string
		for _, name := range t.Template.names() {
			if !t.binds(name) {
				free = append(free, name)
			}
		}
		for _, bound := range t.Bound {
			if t.Template.declares(bound.Name) {
				continue
			}
			best := p.Closest(bound.Name, func() []string { return free })
			if bound.From != "" && best == "" {
				continue
			}
			p.Report(bound.Path, "param %q%s goes nowhere, since %s does not declare it: %s",
				bound.Name, bound.from(), t.Template.Unit, meantOrElse(best, "declare it there, or remove it"))
		}
	}
}

func (b boundParam) from() string {
	if b.From == "" {
		return ""
	}
	return " of " + b.From
}

// meantOrElse asks for the best of what may be meant, if there is one.
func meantOrElse(best, remedy string) string {
	if best != "" {
		return fmt.Sprintf("is %q meant?", best)
	}
	return remedy
}
