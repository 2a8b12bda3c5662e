package triggers

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var legacyTriggerRule = &rule.Rule{
	ID:       "legacy-trigger",
	Severity: rule.Error,
	Kinds:    rule.WithTriggers,
	Doc: `Finds what EventListeners and Triggers of old releases are made of and today's Tekton
refuses, and says what stands in its place:

| old | today |
|---|---|
| ` + "`bindings: [{name: X}]`" + ` | ` + "`bindings: [{ref: X}]`" + ` |
| ` + "`bindings: [{spec: {params: …}}]`" + ` | the params themselves: ` + "`bindings: [{name: …, value: …}]`" + ` |
| ` + "`template: {name: X}`" + ` | ` + "`template: {ref: X}`" + ` |
| ` + "`interceptors: [{github: {…}}]`" + `, gitlab, bitbucket, cel in v1beta1 | ` + "`ref: {name: github}`" + ` and ` + "`params`" + ` |
| ` + "`interceptor`, `binding`, `serviceAccount`" + ` of a trigger | ` + "`interceptors`, `bindings`, `serviceAccountName`" + ` |
| ` + "`podTemplate`, `serviceType`, `replicas`" + ` of an EventListener | ` + "`resources.kubernetesResource`" + ` |

Most tutorials still show the old forms (redhat-scholars/tekton-tutorial#61). Tekton
decodes strictly, and names the field but not the way out. The fix of an EventListener's
old fields comes with the first of them, and mends all.`,
	Check: checkLegacyTrigger,
}

func checkLegacyTrigger(_ context.Context, p *rule.Pass) {
	for _, t := range walk.TriggersIn(p) {
		legacyBindings(p, t)
		legacyTemplate(p, t)
		legacySingular(p, t)
	}
	if p.Kind.Version != "v1alpha1" { // which still takes them: see legacy-interceptor
		legacyInterceptors(p, "so Tekton refuses this one")
	}
	if p.Kind.Kind == "EventListener" {
		legacyResources(p)
	}
}

func legacyBindings(p *rule.Pass, t walk.Trigger) {
	var r object.Reader
	for i, binding := range r.FieldsList(t.Fields, "bindings") {
		path := fmt.Sprintf("%s.bindings[%d]", t.Path, i)
		name := r.Text(binding, "name")
		if r.Fields(binding, "spec") != nil {
			p.Report(path+".spec",
				"a binding within a trigger has no spec today, so Tekton refuses it: write its params as items of bindings, each with name and value")
			continue
		}
		if _, valued := binding["value"]; name == "" || valued || r.Text(binding, "ref") != "" {
			continue
		}
		finding := p.Report(path+".name",
			"a binding that is an object of its own is named by ref today, and one with a name needs a value, so Tekton refuses it: write ref: %s",
			name)
		p.Mend(finding, rule.Edit{Op: "remove", Path: path + ".name"},
			rule.Edit{Op: "add", Path: path + ".ref", Value: name})
	}
}

func legacyTemplate(p *rule.Pass, t walk.Trigger) {
	var r object.Reader
	template := r.Fields(t.Fields, "template")
	name, path := r.Text(template, "name"), t.Path+".template"
	if name == "" {
		return
	}
	finding := p.Report(path+".name",
		"a trigger names its TriggerTemplate by ref today, and Tekton refuses name: write ref: %s",
		name)
	if template["ref"] == nil && template["spec"] == nil {
		p.Mend(finding, rule.Edit{Op: "remove", Path: path + ".name"},
			rule.Edit{Op: "add", Path: path + ".ref", Value: name})
	}
}

// legacySingular is about the fields of a trigger that had one item in the first
// releases, and have a list or a text today.
func legacySingular(p *rule.Pass, t walk.Trigger) {
	var r object.Reader
	replace := func(old, today string, value any) {
		finding := p.Report(t.Path+"."+old,
			"%s of a trigger is %s today, so Tekton refuses it: move it there",
			old, today)
		if value != nil && t.Fields[today] == nil {
			p.Mend(finding, rule.Edit{Op: "remove", Path: t.Path + "." + old},
				rule.Edit{Op: "add", Path: t.Path + "." + today, Value: value})
		}
	}
	if in := r.Fields(t.Fields, "interceptor"); in != nil {
		replace("interceptor", "interceptors", []any{in})
	}
	if binding := r.Fields(t.Fields, "binding"); binding != nil {
		if name := r.Text(binding, "name"); name != "" && len(binding) == 1 {
			replace("binding", "bindings", []any{map[string]any{"ref": name}})
		} else {
			replace("binding", "bindings", nil)
		}
	}
	if account := r.Fields(t.Fields, "serviceAccount"); account != nil {
		var value any
		if name := r.Text(account, "name"); name != "" {
			value = name
		}
		replace("serviceAccount", "serviceAccountName", value)
	}
}

// legacyResources is about the fields of an EventListener that say how it is
// deployed. All of them are mended at once, with the first finding.
func legacyResources(p *rule.Pass) {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	kubernetes, removals := map[string]any{}, []rule.Edit(nil)
	var first *rule.Finding
	certain := spec["resources"] == nil
	for _, field := range []string{"podTemplate", "serviceType", "replicas"} {
		value := spec[field]
		if value == nil {
			continue
		}
		today := "resources.kubernetesResource." + field
		if field == "podTemplate" {
			today = "resources.kubernetesResource.spec.template.spec"
			kubernetes["spec"] = map[string]any{"template": map[string]any{"spec": value}}
			certain = certain && podTemplateFits(r.Fields(spec, field))
		} else {
			kubernetes[field] = value
		}
		finding := p.Report("spec."+field,
			"%s of an EventListener is %s today, and Tekton refuses the old field: move it there",
			field, today)
		if first == nil {
			first = finding
		}
		removals = append(removals, rule.Edit{Op: "remove", Path: "spec." + field})
	}
	if first != nil && certain {
		p.Mend(first,
			append(removals,
				rule.Edit{Op: "add", Path: "spec.resources",
					Value: map[string]any{"kubernetesResource": kubernetes}})...)
	}
}

// podTemplateFits tells whether Tekton takes all fields of an old podTemplate today.
func podTemplateFits(template map[string]any) bool {
	for key := range template {
		if key != "nodeSelector" && key != "tolerations" {
			return false
		}
	}
	return template != nil
}
