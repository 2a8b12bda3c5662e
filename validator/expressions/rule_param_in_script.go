package expressions

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var paramInScriptRule = &rule.Rule{
	ID:       "param-in-script",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds params of a Task that become part of a script, or of the code that a shell or
interpreter is given with ` + "`-c`" + ` or ` + "`-e`" + `: Tekton puts ` + "`$(params.x)`" + ` in as text, so whoever chooses
the value runs commands in the step. Give the step an environment variable with that
value, and use the variable in quotes.

Many published Tasks are written so, and a Task whose params only its own team chooses
does no harm; therefore the rule is off unless it is switched on. What a TriggerTemplate
puts into a script of its own is found by script-injection, which is on.`,
	Check: checkParamInScript,
}

func checkParamInScript(_ context.Context, p *rule.Pass) {
	for _, task := range object.Tasks(p.Object) {
		for _, place := range placesOf(task) {
			if place.Use != useScript {
				continue
			}
			var seen []string
			for _, e := range expression.Named(place.Text, "params", "inputs.params") {
				if e.Closed && !slices.Contains(seen, e.Text) {
					seen = append(seen, e.Text)
					p.Report(place.Path,
						"%s holds %s, so whoever chooses it runs commands there: give the step an env variable with that value, and use the variable in quotes",
						place.Name, e.Text)
				}
			}
		}
	}
}
