package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var flagInjectionRule = &rule.Rule{
	ID:       "flag-injection",
	Severity: rule.Warning,
	Kinds:    kindsWithTemplates,
	Doc: `Finds arguments of git and of Kaniko that begin with a param of a TriggerTemplate. A value
that begins with a dash is taken for a flag: ` + "`--upload-pack=…`" + ` makes git run a command, and
` + "`--context=…`" + ` or ` + "`--build-arg=…`" + ` decide what Kaniko builds, with its registry credentials.

Write the flag in front, ` + "`--destination=$(tt.params.image)`" + `, or put ` + "`--`" + ` before it, where the
program knows that. What follows a flag as a word of its own passes.`,
	Check: checkFlagInjection,
}

func checkFlagInjection(_ context.Context, p *rule.Pass) {
	for _, flow := range flowsOfTemplates(p, useFlag) {
		p.Report(flow.Path,
			"one of %s begins with %s, and a value that begins with - becomes a flag: write the flag in front, or -- before it",
			flow.Name, flow.how())
	}
}
