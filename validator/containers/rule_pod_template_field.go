package containers

import (
	"context"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
)

var podTemplateFieldRule = &rule.Rule{
	ID:        "pod-template-field",
	Severity:  rule.Error,
	OptIn:     true,
	Kinds:     rule.Runs,
	AtUse:     true,
	NotInPods: true,
	Doc: `Finds fields of a run's podTemplate, and of those in taskRunSpecs, that
validator.policy.security.pods.podTemplate does not list, such as hostAliases,
dnsConfig, tolerations, nodeSelector, schedulerName or priorityClassName.

They say where Pods run and what names mean to them, which is the platform's to say,
and no Task shows them (Tekton's threat model). An empty list allows all.`,
	Check: checkPodTemplateField,
}

func checkPodTemplateField(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[SecurityPolicy](p).Pods.PodTemplate
	if len(allowed) == 0 {
		return
	}
	for _, template := range podTemplatesIn(p) {
		for _, field := range slices.Sorted(maps.Keys(template.Fields)) {
			if template.Fields[field] != nil && !slices.Contains(allowed, field) {
				p.Report(rule.Join(template.Path, field),
					"runs may not set %s of the podTemplate, since validator.policy.security.pods.podTemplate does not list it: remove it, or have the list extended",
					field)
			}
		}
	}
}
