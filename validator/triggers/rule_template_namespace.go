package triggers

import (
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var templateNamespaceRule = &rule.Rule{
	ID:       "template-namespace",
	Severity: rule.Warning,
	Kinds:    rule.WithTemplates,
	Doc: `Finds templates that create objects in another namespace than the trigger's own, or in one
that the event names.

Triggers honours metadata.namespace (pkg/resources/create.go of Tekton Triggers v0.37.0):
with a ServiceAccount that may create runs in all namespaces, whoever edits the template, or
sends the event, runs in any of them, beside its Secrets.`,
	Check: checkTemplateNamespace,
}

func checkTemplateNamespace(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, t := range templatedIn(p) {
		namespace := r.Text(r.Fields(t.Fields, "metadata"), "namespace")
		path := t.Path + ".metadata.namespace"
		switch {
		case namespace == "" || namespace == p.Namespace:
		case expression.Any(namespace):
			p.Report(path,
				"the event chooses the namespace of this %s, so its sender runs in any that the ServiceAccount may create it in: write the namespace out, or leave it away",
				t.call())
		case p.Namespace != "":
			p.Report(path,
				"this %s is created in %q and not in the trigger's namespace %q, so it runs beside another team's Secrets: move the trigger there, or leave the namespace away",
				t.call(), namespace, p.Namespace)
		}
	}
}
