package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var undeclaredTemplateParamRule = &rule.Rule{
	ID:       "undeclared-template-param",
	Severity: rule.Error,
	Kinds:    kindsWithTemplates,
	Doc: `Finds ` + "`$(tt.params.x)`" + ` in a resource template of a TriggerTemplate that declares no param x.
Tekton's webhook refuses it; here it is told of before anything reaches a cluster, at its
place, and with the name that may be meant.`,
	Check: checkUndeclaredTemplateParam,
}

func checkUndeclaredTemplateParam(_ context.Context, p *rule.Pass) {
	for _, t := range templatesIn(p) {
		for _, text := range t.texts() {
			checkDeclared(p, t, text)
		}
	}
}

func checkDeclared(p *rule.Pass, t paramTemplate, text rule.Text) {
	for _, name := range templateParamsOf(text.Value) {
		if !t.declares(name) {
			p.Report(text.Path, "$(tt.params.%s) is used, but %s has no such param: %s", name, t.Unit,
				meantOrElse(p.Closest(name, t.names), "declare it in params"))
		}
	}
}
