package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var duplicateTemplateParamRule = &rule.Rule{
	ID:       "duplicate-template-param",
	Severity: rule.Warning,
	Kinds:    kindsWithTemplates,
	Doc: `Finds params that a TriggerTemplate declares twice. Tekton accepts it, and of two defaults
the last one counts (pkg/template/event.go of Triggers v0.37.0), whichever the author is
looking at.`,
	Check: checkDuplicateTemplateParam,
}

func checkDuplicateTemplateParam(_ context.Context, p *rule.Pass) {
	for _, t := range templatesIn(p) {
		seen := map[string]string{}
		for _, declared := range t.params() {
			if first := seen[declared.Name]; first != "" && declared.Name != "" {
				p.Report(declared.Path,
					"param %q is declared twice, and the last default counts: remove this one or %s",
					declared.Name, first)
				continue
			}
			seen[declared.Name] = declared.Path
		}
	}
}
