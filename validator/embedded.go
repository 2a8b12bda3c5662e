package validator

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// embedded returns the objects that a TriggerTemplate, or a template within a trigger,
// is to create.
func embedded(p *rule.Pass) []*rule.Pass {
	if p.Kind.Group != rule.TriggersGroup {
		return nil
	}
	var r object.Reader
	if p.Kind.Kind == "TriggerTemplate" {
		return embeddedIn(p, p.Object, "spec")
	}
	var inner []*rule.Pass
	for _, t := range walk.TriggersIn(p) {
		if template := r.Fields(t.Fields, "template"); template["spec"] != nil {
			inner = append(inner, embeddedIn(p, template, t.Path+".template.spec")...)
		}
	}
	return inner
}

// embeddedIn returns the objects of one template, whose specification is at path.
func embeddedIn(p *rule.Pass, template map[string]any, path string) []*rule.Pass {
	var r object.Reader
	var inner []*rule.Pass
	for i, fields := range r.FieldsList(r.Fields(template, "spec"), "resourcetemplates") {
		gv, err := schema.ParseGroupVersion(r.Text(fields, "apiVersion"))
		kind := r.Text(fields, "kind")
		if fields == nil || err != nil || kind == "" {
			continue
		}
		namespace := p.Namespace
		if own := r.Text(r.Fields(fields, "metadata"), "namespace"); own != "" {
			namespace = own
		}
		object := p.At(fmt.Sprintf("%s.resourcetemplates[%d]", path, i))
		object.Object, object.Kind, object.Namespace, object.Template = fields, gv.WithKind(kind), namespace, template
		inner = append(inner, object)
	}
	return inner
}
