package expressions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// paramTemplate is the specification of a TriggerTemplate: of one that is an object
// of its own, or that is written out in a trigger.
type paramTemplate struct {
	Path        string // "spec", or "spec.triggers[0].template.spec"
	Spec        map[string]any
	Annotations map[string]any // nil for one that is written out
	Unit        string         // how to call it: `TriggerTemplate "build"`
	*templateWalks
}

// templateWalks are what walks over a template found. Several rules need each, for each
// trigger that refers to the template.
type templateWalks struct {
	declaredNames map[string]bool
	usedNames     map[string]bool
	allTexts      []rule.Text
	raw           []json.RawMessage
	flowsThere    []paramFlow
	walked        bool // whether flowsThere is known
}

// templatesIn returns the templates that stand in an object.
func templatesIn(p *rule.Pass) []paramTemplate {
	return rule.Once(p, "templatesIn", func() []paramTemplate { return walkTemplates(p) })
}

func walkTemplates(p *rule.Pass) []paramTemplate {
	var r object.Reader
	if p.Kind.Kind == "TriggerTemplate" {
		return []paramTemplate{{
			Path: "spec", Spec: r.Fields(p.Object, "spec"),
			Annotations: r.Fields(r.Fields(p.Object, "metadata"), "annotations"), Unit: "this TriggerTemplate",
			templateWalks: &templateWalks{},
		}}
	}
	var found []paramTemplate
	for _, t := range walk.TriggersIn(p) {
		if spec := r.Fields(r.Fields(t.Fields, "template"), "spec"); spec != nil {
			found = append(found,
				paramTemplate{t.Path + ".template.spec", spec, nil, "the template of " + t.Unit, &templateWalks{}})
		}
	}
	return found
}

func (t paramTemplate) params() []rule.Param { return rule.ParamsIn(t.Spec, t.Path) }

// declares tells whether the template has a param of that name.
func (t paramTemplate) declares(name string) bool {
	if t.declaredNames == nil {
		t.declaredNames = map[string]bool{}
		for _, p := range t.params() {
			t.declaredNames[p.Name] = true
		}
	}
	return t.declaredNames[name]
}

// names returns those of the template's params.
func (t paramTemplate) names() []string {
	var names []string
	for _, p := range t.params() {
		names = append(names, p.Name)
	}
	return names
}

// templateResource is an object that a template is to create.
type templateResource struct {
	Path   string // "spec.resourcetemplates[0]"
	Fields map[string]any
}

func (t paramTemplate) resources() []templateResource {
	var r object.Reader
	var found []templateResource
	for i, fields := range r.FieldsList(t.Spec, "resourcetemplates") {
		found = append(found, templateResource{t.Path + ".resourcetemplates[" + strconv.Itoa(i) + "]", fields})
	}
	return found
}

// texts returns all texts that Triggers puts params into: keys are among them, since
// it replaces in the JSON, and stand here with the path of what they name.
func (r templateResource) texts() []rule.Text { return textsAndKeys(r.Fields, r.Path) }

// texts returns those of all resources of the template.
func (t paramTemplate) texts() []rule.Text {
	if t.allTexts == nil {
		for _, r := range t.resources() {
			t.allTexts = append(t.allTexts, r.texts()...)
		}
	}
	return t.allTexts
}

func textsAndKeys(value any, path string) []rule.Text {
	found := rule.TextsIn(value, path)
	var keys func(value any, path string)
	keys = func(value any, path string) {
		switch v := value.(type) {
		case []any:
			for i, item := range v {
				keys(item, path+"["+strconv.Itoa(i)+"]")
			}
		case map[string]any:
			for key, item := range v {
				if strings.Contains(key, "$(") {
					found = append(found, rule.Text{Path: rule.Join(path, key), Value: key})
				}
				keys(item, rule.Join(path, key))
			}
		}
	}
	keys(value, path)
	slices.SortStableFunc(found, func(a, b rule.Text) int { return cmp.Compare(a.Path, b.Path) })
	return found
}

// templateParam is what Triggers takes for a reference to a param of a template
// (v0.37.0 pkg/apis/triggers/v1beta1/trigger_template_validation.go).
var templateParam = lazyregexp.New(`\$\(tt\.params\.([_a-zA-Z][_a-zA-Z0-9.-]*)\)`)

// templateParamsOf returns the names of the template's params that a text uses, each
// once.
func templateParamsOf(value string) []string {
	if !strings.Contains(value, "$(tt.") {
		return nil
	}
	var names []string
	seen := map[string]bool{}
	for _, match := range templateParam.FindAllStringSubmatch(value, -1) {
		if !seen[match[1]] {
			names = append(names, match[1])
		}
		seen[match[1]] = true
	}
	return names
}

// boundParam is a param that a trigger's bindings give a value.
type boundParam struct {
	rule.Param        // its path is that of the binding's entry in the trigger
	From       string // `TriggerBinding "push"`, "" for one that is written out
}

// boundTrigger is a trigger with what its references lead to.
type boundTrigger struct {
	walk.Trigger
	Bound    []boundParam
	Complete bool // whether every binding could be found
	names    map[string]bool
	Template *paramTemplate // nil where it is not known
}

// boundTriggersIn resolves the triggers of an EventListener or Trigger. What cannot be
// found is left out: that it is missing another rule says. Triggers that are objects of
// their own are judged by themselves.
func boundTriggersIn(ctx context.Context, p *rule.Pass) []boundTrigger {
	return rule.Once(p, "boundTriggersIn", func() []boundTrigger { return walkBoundTriggers(ctx, p) })
}

func walkBoundTriggers(ctx context.Context, p *rule.Pass) []boundTrigger {
	var found []boundTrigger
	for _, t := range walk.TriggersIn(p) {
		if t.Fields == nil || t.Fields["triggerRef"] != nil {
			continue
		}
		bound := boundTrigger{Trigger: t, Complete: true}
		bound.bind(ctx, p)
		p.Step(1 + len(bound.Bound))
		bound.Template = templateOf(ctx, p, t)
		found = append(found, bound)
	}
	return found
}

func (b *boundTrigger) bind(ctx context.Context, p *rule.Pass) {
	var r object.Reader
	if _, list := b.Fields["bindings"].([]any); !list && b.Fields["bindings"] != nil {
		b.Complete = false // Triggers refuses it: see triggers-rejects
	}
	for i, binding := range r.FieldsList(b.Fields, "bindings") {
		path := fmt.Sprintf("%s.bindings[%d]", b.Path, i)
		name, ref := r.Text(binding, "name"), r.Text(binding, "ref")
		switch {
		case name != "" && binding["value"] != nil: // as pkg/template/resource.go of v0.37.0 decides
			b.Bound = append(b.Bound, boundParam{Param: rule.Param{Path: path, Name: name, Value: binding["value"]}})
		case ref != "":
			kind := cmp.Or(r.Text(binding, "kind"), "TriggerBinding")
			fields := lookUpTriggers(ctx, p, kind, ref)
			b.Complete = b.Complete && fields != nil
			for _, given := range rule.ParamsIn(r.Fields(fields, "spec"), "") {
				given.Path = path
				b.Bound = append(b.Bound, boundParam{given, kind + " " + strconv.Quote(ref)})
			}
		default:
			b.Complete = false
		}
	}
	b.names = make(map[string]bool, len(b.Bound))
	for _, bound := range b.Bound {
		b.names[bound.Name] = true
	}
}

// binds tells whether the bindings give a param a value.
func (b boundTrigger) binds(name string) bool { return b.names[name] }

func templateOf(ctx context.Context, p *rule.Pass, t walk.Trigger) *paramTemplate {
	var r object.Reader
	template := r.Fields(t.Fields, "template")
	if spec := r.Fields(template, "spec"); spec != nil {
		return &paramTemplate{t.Path + ".template.spec", spec, nil, "the template of " + t.Unit, &templateWalks{}}
	}
	ref := r.Text(template, "ref")
	fields := lookUpTriggers(ctx, p, "TriggerTemplate", ref)
	spec := r.Fields(fields, "spec")
	if spec == nil {
		return nil
	}
	return &paramTemplate{
		Path: t.Path + ".template.ref", Spec: spec, Unit: "TriggerTemplate " + strconv.Quote(ref),
		Annotations: r.Fields(r.Fields(fields, "metadata"), "annotations"),
		templateWalks: rule.Once(p, "walks of TriggerTemplate "+ref, func() []*templateWalks {
			return []*templateWalks{{}}
		})[0],
	}
}

// lookUpTriggers returns an object of Triggers that this one names, nil where it is not known.
func lookUpTriggers(ctx context.Context, p *rule.Pass, kind, name string) map[string]any {
	namespace := p.Namespace
	if kind == "ClusterTriggerBinding" {
		namespace = ""
	}
	if name == "" {
		return nil
	}
	fields, err := p.Cluster.Get(ctx, schema.GroupKind{Group: rule.TriggersGroup, Kind: kind}, namespace, name)
	if err != nil {
		return nil
	}
	return fields
}

// bindingValuesIn returns the params of a binding, or of the bindings that are written
// out in an object's triggers. Their paths are those of the values.
func bindingValuesIn(p *rule.Pass) []rule.Param {
	var r object.Reader
	var found []rule.Param
	if p.Kind.Kind == "TriggerBinding" || p.Kind.Kind == "ClusterTriggerBinding" {
		found = rule.ParamsIn(r.Fields(p.Object, "spec"), "spec")
	}
	for _, t := range walk.TriggersIn(p) {
		for i, binding := range r.FieldsList(t.Fields, "bindings") {
			path := fmt.Sprintf("%s.bindings[%d]", t.Path, i)
			found = append(found, rule.Param{Path: path, Name: r.Text(binding, "name"), Value: binding["value"]})
			found = append(found, rule.ParamsIn(r.Fields(binding, "spec"), path+".spec")...) // before v0.10
		}
	}
	for i := range found {
		found[i].Path += ".value"
	}
	return found
}

// holdsPayload tells whether a binding's value holds something that the sender of an event
// decides.
func holdsPayload(value any) bool {
	text, _ := value.(string)
	return slices.ContainsFunc(expression.Bound(text), func(e expression.Expression) bool {
		return e.Closed && !strings.HasPrefix(strings.Trim(e.Inner, "{. "), "context.")
	})
}

// isProseField tells whether a text is for people, and may talk about expressions.
func isProseField(path string) bool {
	return strings.HasSuffix(path, ".description") || strings.HasSuffix(path, ".displayName") ||
		strings.Contains(path, "metadata.annotations")
}

// specExpressions returns the texts of an object's specification that may hold an expression.
func specExpressions(p *rule.Pass) []rule.Text {
	return rule.Once(p, "specExpressions", func() []rule.Text { return rule.ExpressionsIn(p.Object["spec"], "spec") })
}
