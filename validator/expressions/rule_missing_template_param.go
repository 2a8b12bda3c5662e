package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var missingTemplateParamRule = &rule.Rule{
	ID:       "missing-template-param",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds params of a trigger's TriggerTemplate that have no default and that none of the
trigger's bindings gives a value.

Triggers does not mind: the object that it creates then holds ` + "`$(tt.params.x)`" + ` as it stands,
in a script, an image reference or a branch's name (pkg/template/resource.go of v0.37.0).

A param that the template declares and does not use passes, and so does a trigger one
of whose bindings is not known.`,
	Check: checkMissingTemplateParam,
}

func checkMissingTemplateParam(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		if t.Template == nil || !t.Complete {
			continue
		}
		used, declaredThere := t.Template.used(), t.Template.params()
		p.Step(len(declaredThere))
		for _, declared := range declaredThere {
			if declared.Value != nil || !used[declared.Name] || t.binds(declared.Name) {
				continue
			}
			p.Report(t.Path+".bindings",
				"%s gives no value to param %q of %s, which has no default, so $(tt.params.%s) stays as it stands: %s",
				t.Unit, declared.Name, t.Template.Unit, declared.Name, t.remedy(p, declared.Name))
		}
	}
}

// remedy looks for a bound param that may have been meant.
func (b boundTrigger) remedy(p *rule.Pass, name string) string {
	best := p.Closest(name, func() []string {
		var others []string
		for _, bound := range b.Bound {
			if !b.Template.declares(bound.Name) {
				others = append(others, bound.Name)
			}
		}
		return others
	})
	return meantOrElse(best, "bind it, or give it a default")
}

// used returns the names of the params that the template's resources use.
func (t paramTemplate) used() map[string]bool {
	if t.usedNames != nil {
		return t.usedNames
	}
	t.usedNames = map[string]bool{}
	for _, text := range t.texts() {
		for _, name := range templateParamsOf(text.Value) {
			t.usedNames[name] = true
		}
	}
	return t.usedNames
}
