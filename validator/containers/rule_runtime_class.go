package containers

import (
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var runtimeClassRule = &rule.Rule{
	ID:       "runtime-class",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.Runs,
	AtUse:    true,
	Doc: `Finds runs whose podTemplate names a runtimeClassName that is not in
validator.policy.security.pods.runtimeClasses (* stands for any characters).

A house that has a sandbox for builds (gVisor, Kata) lists it, and so finds whoever
asks for another. A run that names none passes: it gets the cluster's default, or that
of default-pod-template. An empty list allows all.`,
	Check: checkRuntimeClass,
}

func checkRuntimeClass(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[SecurityPolicy](p).Pods.RuntimeClasses
	var r object.Reader
	for _, template := range podTemplatesIn(p) {
		name := r.Text(template.Fields, "runtimeClassName")
		if len(allowed) > 0 {
			p.Cannot(template.Path+".runtimeClassName", name)
		}
		if len(allowed) > 0 && name != "" && !expression.Any(name) && !rule.MatchesAny(allowed, name) {
			p.Report(template.Path+".runtimeClassName",
				"RuntimeClass %q is not in validator.policy.security.pods.runtimeClasses: name one of those, or have the list extended",
				name)
		}
	}
}
