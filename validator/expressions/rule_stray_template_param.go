package expressions

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
)

var strayTemplateParamRule = &rule.Rule{
	ID:       "stray-template-param",
	Severity: rule.Error,
	Kinds:    slices.Concat(rule.WithSteps, rule.WithTemplates),
	Doc: `Finds ` + "`$(tt.params.x)`" + ` in a Task, Pipeline, StepAction or run that stands in no
TriggerTemplate. Only Triggers knows such params, and only in the resource templates of a
TriggerTemplate: here the text stays as it stands. Give the Task or Pipeline a param, and
let the template give that its value.

It also finds one in the default of a TriggerTemplate's param. Triggers puts the params in one after the other, in
no order, and doubles each ` + "`$(`" + ` of a value, so that ` + "`$$(tt.params.x)`" + ` comes out, or a dollar sign before the value
of x.

Descriptions and annotations pass.`,
	Check: checkStrayTemplateParam,
}

func checkStrayTemplateParam(_ context.Context, p *rule.Pass) {
	if p.Template != nil {
		return
	}
	for _, t := range templatesIn(p) {
		for _, declared := range t.params() {
			value, _ := declared.Value.(string)
			for _, name := range templateParamsOf(value) {
				p.Report(declared.Path+".default",
					"the default of param %q has $(tt.params.%s), which Triggers never fills in there: write it into the resource template, beside $(tt.params.%s)",
					declared.Name, name, declared.Name)
			}
		}
	}
	if p.Kind.Group != rule.TektonGroup {
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
