package validator

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
)

// embedded returns the objects that a TriggerTemplate, or a template within a trigger,
// is to create.
func embedded(p *Pass) []*Pass {
	if p.Kind.Group != triggersGroup {
		return nil
	}
	var r object.Reader
	if p.Kind.Kind == "TriggerTemplate" {
		return embeddedIn(p, p.Object, "spec")
	}
	var inner []*Pass
	for _, t := range triggersIn(p) {
		if template := r.Fields(t.Fields, "template"); template["spec"] != nil {
			inner = append(inner, embeddedIn(p, template, t.Path+".template.spec")...)
		}
	}
	return inner
}

// embeddedIn returns the objects of one template, whose specification is at path.
func embeddedIn(p *Pass, template map[string]any, path string) []*Pass {
	var r object.Reader
	var inner []*Pass
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
