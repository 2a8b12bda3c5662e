package triggers

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// accountPlace is where a ServiceAccount is named.
type accountPlace struct{ Path, Name, Unit string }

// listenerAccount is the ServiceAccount that an EventListener's Pod runs as: that of
// the Pod's apiSpec counts before the EventListener's own
// (pkg/reconciler/eventlistener/resources/deployment.go of Tekton Triggers v0.37.0).
func listenerAccount(p *rule.Pass) accountPlace {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	kubernetes := r.Fields(r.Fields(spec, "resources"), "kubernetesResource")
	pod := r.Fields(r.Fields(r.Fields(kubernetes, "spec"), "template"), "spec")
	if name := r.Text(pod, "serviceAccountName"); name != "" {
		return accountPlace{"spec.resources.kubernetesResource.spec.template.spec.serviceAccountName", name,
			"this EventListener"}
	}
	return accountPlace{"spec.serviceAccountName", r.Text(spec, "serviceAccountName"), "this EventListener"}
}

// listenerIsCustom tells whether something else than a Deployment runs the EventListener: its
// ServiceAccount stands who knows where.
func listenerIsCustom(p *rule.Pass) bool {
	var r object.Reader
	return r.Fields(r.Fields(p.Object, "spec"), "resources")["customResource"] != nil
}

// triggerAccounts returns all ServiceAccounts that an EventListener or Trigger names.
func triggerAccounts(p *rule.Pass) []accountPlace {
	var r object.Reader
	var found []accountPlace
	if p.Kind.Kind == "EventListener" {
		found = append(found, listenerAccount(p))
	}
	for _, t := range walk.TriggersIn(p) {
		found = append(found,
			accountPlace{t.Path + ".serviceAccountName", r.Text(t.Fields, "serviceAccountName"), t.Unit})
	}
	return found
}

var serviceAccounts = schema.GroupKind{Kind: "ServiceAccount"}

// selector is how an EventListener, or a group of it, picks Triggers.
type selector struct {
	Path       string // "spec" or "spec.triggerGroups[0].triggerSelector"
	Namespaces []string
	Labels     map[string]any // nil for any
}

// selectorsIn returns those that pick anything: of an EventListener without a
// namespaceSelector and labelSelector there is none.
func selectorsIn(p *rule.Pass) []selector {
	var r object.Reader
	if p.Kind.Kind != "EventListener" {
		return nil
	}
	spec := r.Fields(p.Object, "spec")
	found := []selector{selectorOf(spec, "spec")}
	for i, group := range r.FieldsList(spec, "triggerGroups") {
		found = append(found,
			selectorOf(r.Fields(group, "triggerSelector"), fmt.Sprintf("spec.triggerGroups[%d].triggerSelector", i)))
	}
	return slices.DeleteFunc(found, func(s selector) bool { return len(s.Namespaces) == 0 && s.Labels == nil })
}

func selectorOf(fields map[string]any, path string) selector {
	var r object.Reader
	return selector{path, r.TextList(r.Fields(fields, "namespaceSelector"), "matchNames"),
		r.Fields(fields, "labelSelector")}
}
