package installer

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Stage is a set of objects that are dealt with together, after those of the
// stages before.
type Stage struct {
	// Doc says what the stage is, for the report.
	Doc     string
	Objects []*unstructured.Unstructured

	changes []*Change
	// wait returns once the next stage can begin.
	wait func(*run, context.Context, []*Change) error
}

// The order in which a release can be applied, on an empty cluster and on one
// that runs an older release.
const (
	stageNamespaces = iota
	stageDefinitions
	stageRest
	stageAdmission
	stageConfiguration
	stageCustom
	stageWorkloads
	stageServers
	stageWebhooks
)

// stages says why each stands where it does. Nothing exists in a namespace or
// of a kind that is not there (tektoncd/triggers#1006). ConfigMaps that exist
// wait for the new admission server, since the old one refuses keys that it
// does not know (tektoncd/pipeline#7759), while those that do not exist must
// be there before it starts; controllers read all of them when they start.
// The server of Triggers' ClusterInterceptors gives them its CA when it starts,
// and looks whether one has none only once a minute (Triggers v0.37,
// cmd/interceptors/main.go): so they are there before it.
// A certificate that cannot be issued is known before any server looks for it.
// Tekgate's webhooks come last, so that no request is sent to a server that is
// not there yet.
var stages = []Stage{
	stageNamespaces:    {Doc: "namespaces"},
	stageDefinitions:   {Doc: "definitions", wait: (*run).waitDefinitions},
	stageRest:          {Doc: "permissions, services and new configuration", wait: (*run).waitCertificates},
	stageAdmission:     {Doc: "Tekton's admission servers", wait: (*run).waitAdmission},
	stageConfiguration: {Doc: "changed configuration"},
	stageCustom:        {Doc: "interceptors"},
	stageWorkloads:     {Doc: "controllers", wait: (*run).waitControllers},
	stageServers:       {Doc: "Tekgate's servers", wait: (*run).waitRollouts},
	stageWebhooks:      {Doc: "Tekgate's webhooks", wait: (*run).waitAsked},
}

// arrange sorts changes into stages; those without changes are left out.
func arrange(changes []*Change) []Stage {
	sorter := newSorter(changes)
	all := make([]Stage, len(stages))
	copy(all, stages)
	for _, change := range changes {
		n := sorter.stageOf(change)
		all[n].changes = append(all[n].changes, change)
		all[n].Objects = append(all[n].Objects, change.Desired)
	}
	filled := all[:0]
	for _, stage := range all {
		if len(stage.Objects) > 0 {
			filled = append(filled, stage)
		}
	}
	return filled
}

// sorter knows what of the objects as a whole decides about each of them.
type sorter struct {
	custom    map[string]bool // "group/kind" that the release defines
	admission map[string]bool // identities of the Deployments behind Tekton's webhooks
}

func newSorter(changes []*Change) sorter {
	objects := make([]*unstructured.Unstructured, len(changes))
	for i, change := range changes {
		objects[i] = change.Desired
	}
	return sorter{custom: newcomers(objects), admission: admissionServers(objects)}
}

func (s sorter) stageOf(change *Change) int {
	obj := change.Desired
	kind := obj.GroupVersionKind()
	switch {
	case kind.Kind == "Namespace":
		return stageNamespaces
	case kind.Kind == "CustomResourceDefinition":
		return stageDefinitions
	case isWebhookConfiguration(obj) && hasRules(obj):
		return stageWebhooks
	case isWebhookConfiguration(obj), s.admission[identity(obj)]:
		return stageAdmission
	case kind.Kind == "ConfigMap" && change.Live != nil:
		return stageConfiguration
	case isWorkload(kind.GroupKind()) && obj.GetNamespace() == Namespace:
		return stageServers
	case isWorkload(kind.GroupKind()):
		return stageWorkloads
	case s.custom[kind.Group+"/"+kind.Kind]:
		return stageCustom
	}
	return stageRest
}

func isWorkload(kind schema.GroupKind) bool {
	switch kind.Group {
	case "apps", "batch":
		return true
	}
	return kind == schema.GroupKind{Kind: "Pod"}
}

// admissionServers returns the Deployments behind the Services that webhook
// configurations without rules name. Tekton ships its configurations so: the
// server behind fills in rules and caBundle once it runs.
func admissionServers(objects []*unstructured.Unstructured) map[string]bool {
	services := map[string]bool{}
	for _, obj := range objects {
		if !isWebhookConfiguration(obj) || hasRules(obj) {
			continue
		}
		for _, webhook := range webhooksOf(obj) {
			namespace, _, _ := unstructured.NestedString(webhook, "clientConfig", "service", "namespace")
			service, _, _ := unstructured.NestedString(webhook, "clientConfig", "service", "name")
			services[" Service/"+namespace+"/"+service] = true
		}
	}
	servers := map[string]bool{}
	for _, obj := range objects {
		if !services[identity(obj)] {
			continue
		}
		selector, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "selector")
		for _, other := range objects {
			pod, _, _ := unstructured.NestedStringMap(other.Object, "spec", "template", "metadata", "labels")
			if other.GetKind() == "Deployment" && other.GetNamespace() == obj.GetNamespace() && len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(pod)) {
				servers[identity(other)] = true
			}
		}
	}
	return servers
}

func webhooksOf(configuration *unstructured.Unstructured) []map[string]any {
	list, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	var webhooks []map[string]any
	for _, w := range list {
		if webhook, ok := w.(map[string]any); ok {
			webhooks = append(webhooks, webhook)
		}
	}
	return webhooks
}

func hasRules(configuration *unstructured.Unstructured) bool {
	for _, webhook := range webhooksOf(configuration) {
		if rules, _ := webhook["rules"].([]any); len(rules) > 0 {
			return true
		}
	}
	return false
}
