package pipelines

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var unusedParamRule = &rule.Rule{
	ID:       "unused-param",
	Severity: rule.Info,
	Kinds:    rule.WithSteps,
	Doc: `Finds parameters that a Task, Pipeline or StepAction declares and never uses.

Whoever sets one believes that it has an effect. Most often its use is misspelt, or has
been deleted.`,
	Check: checkUnusedParam,
}

func checkUnusedParam(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		declared := itemsIn(s.Fields, s.Path, "params")
		if len(declared) == 0 {
			continue
		}
		texts := rule.TextsIn(s.Fields, "")
		for _, param := range declared {
			if !slices.ContainsFunc(texts, func(t rule.Text) bool { return mentions(t.Value, param.Name) }) {
				p.Report(param.Path,
					"parameter %q is declared and never used, so it has no effect whoever sets it: use it or remove it",
					param.Name)
			}
		}
	}
}

// mentions tells whether a text may use a parameter.
func mentions(text, name string) bool {
	for _, form := range []string{"params." + name, `params["` + name, "params['" + name} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}
