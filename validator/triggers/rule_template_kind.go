package triggers

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var templateKindRule = &rule.Rule{
	ID:       "template-kind",
	Severity: rule.Warning,
	Kinds:    rule.WithTemplates,
	Doc: `Finds templates that create other kinds than TaskRun, PipelineRun and CustomRun, or than
those that policy.triggers.templateKinds lists as kind.group.

Whatever an event creates it creates with the rights of the EventListener's
ServiceAccount: a Secret, a Role or a Pod can be made of the sender's words, and no
Task has looked at them. What a run creates is created by that run's own ServiceAccount.

What holds for the whole cluster is that of template-privilege.`,
	Check: checkTemplateKind,
}

var defaultTemplateKinds = []string{"TaskRun.tekton.dev", "PipelineRun.tekton.dev", "CustomRun.tekton.dev"}

func checkTemplateKind(_ context.Context, p *rule.Pass) {
	allowed, own := rule.PolicyOf[Policy](p).TemplateKinds, len(rule.PolicyOf[Policy](p).TemplateKinds) > 0
	if !own {
		allowed = defaultTemplateKinds
	}
	for _, t := range templatedIn(p) {
		kind := t.kind()
		name := strings.TrimSuffix(kind.Kind+"."+kind.Group, ".")
		if kind.Kind == "" || expression.Any(name) || isPrivileged(t) || slices.Contains(rule.Gone, kind) ||
			rule.MatchesAny(allowed, name) {
			continue
		}
		if own {
			p.Report(t.Path+".kind",
				"an event may not create a %s here: policy.triggers.templateKinds has %s",
				name, strings.Join(allowed, ", "))
			continue
		}
		p.Report(t.Path+".kind",
			"an event creates this %s with the EventListener's own rights and no run in between: let a TaskRun create it, or allow %s in policy.triggers.templateKinds",
			kind.Kind, name)
	}
}
