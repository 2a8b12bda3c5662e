package expressions

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
)

// kindsWithTemplates are the kinds in which templates stand, see templatesIn.
var kindsWithTemplates = slices.Concat(rule.TriggerTemplates, rule.WithTriggers)

var unusedTemplateParamRule = &rule.Rule{
	ID:       "unused-template-param",
	Severity: rule.Warning,
	Kinds:    kindsWithTemplates,
	Doc: `Finds params of a TriggerTemplate that none of its resource templates uses. What is
bound to them goes nowhere; often the name is misspelt in ` + "`$(tt.params.x)`" + `, or the use of
it has been forgotten.

Templates that triggers write out are looked at too.`,
	Check: checkUnusedTemplateParam,
}

func checkUnusedTemplateParam(_ context.Context, p *rule.Pass) {
	for _, t := range templatesIn(p) {
		used, none := t.used(), len(t.resources()) == 0
		for _, declared := range t.params() {
			if declared.Name != "" && !used[declared.Name] && !none {
				p.Report(declared.Path,
					"no resource template uses param %q: write $(tt.params.%s) where it belongs, or remove it",
					declared.Name, declared.Name)
			}
		}
	}
}
