package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var strayTemplateParamRule = &rule.Rule{
	ID:       "stray-template-param",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds ` + "`$(tt.params.x)`" + ` in a Task, Pipeline, StepAction or run that stands in no
TriggerTemplate. Only Triggers knows such params, and only in the resource templates of a
TriggerTemplate: here the text stays as it stands. Give the Task or Pipeline a param, and
let the template give that its value.

Descriptions and annotations pass.`,
	Check: checkStrayTemplateParam,
}

func checkStrayTemplateParam(_ context.Context, p *rule.Pass) {
	if p.Template != nil {
		return
	}
	for _, text := range specExpressions(p) {
		if isProseField(text.Path) {
			continue
		}
		for _, name := range templateParamsOf(text.Value) {
			p.Report(text.Path,
				"nothing replaces $(tt.params.%s) outside a TriggerTemplate: declare a param %q, write $(params.%s), and give it its value in the template",
				name, name, name)
		}
	}
}
