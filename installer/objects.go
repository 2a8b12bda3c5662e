package installer

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// This file has the helpers that look at one object.

// NewObject returns an object with nothing but its kind and name.
func NewObject(kind schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

// isTekgateConfig reports whether obj is the ConfigMap with the servers' configuration.
func isTekgateConfig(obj *unstructured.Unstructured) bool {
	return obj.GetKind() == "ConfigMap" && obj.GetNamespace() == Namespace && obj.GetName() == wellknown.ConfigMap
}

// ConfigData returns the data of a ConfigMap.
func ConfigData(configMap *unstructured.Unstructured) map[string]string {
	data, _, _ := unstructured.NestedStringMap(configMap.Object, "data")
	return data
}

func isWebhookConfiguration(obj *unstructured.Unstructured) bool {
	kind := obj.GetKind()
	return kind == "MutatingWebhookConfiguration" || kind == "ValidatingWebhookConfiguration"
}

// hasRules reports whether a webhook configuration has a webhook with rules.
func hasRules(configuration *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.Maps(configuration.Object, "webhooks"), func(webhook map[string]any) bool {
		rules, _ := webhook["rules"].([]any)
		return len(rules) > 0
	})
}

// callsService reports whether a webhook is served by a Service of the cluster.
func callsService(webhook map[string]any) bool {
	_, found, _ := unstructured.NestedMap(webhook, "clientConfig", "service")
	return found
}

func hasBundle(withClientConfig map[string]any) bool {
	return live.Text(withClientConfig, "clientConfig", "caBundle") != ""
}

func isDefinition(obj *unstructured.Unstructured) bool { return obj.GetKind() == live.Definition.Kind }

// definedKind returns the kind of a definition.
func definedKind(crd *unstructured.Unstructured) schema.GroupKind {
	return schema.GroupKind{
		Group: live.Text(crd.Object, "spec", "group"),
		Kind:  live.Text(crd.Object, "spec", "names", "kind"),
	}
}

// definedVersions returns the names of a definition's versions.
func definedVersions(crd *unstructured.Unstructured) []string {
	var names []string
	for _, version := range live.Maps(crd.Object, "spec", "versions") {
		if n, ok := version["name"].(string); ok {
			names = append(names, n)
		}
	}
	return names
}

// StorageKind returns the kind of a definition, in the version in which its objects are
// stored. Reading them in this version needs no conversion.
func StorageKind(crd *unstructured.Unstructured) schema.GroupVersionKind {
	for _, version := range live.Maps(crd.Object, "spec", "versions") {
		if n, ok := version["name"].(string); ok && version["storage"] == true {
			return definedKind(crd).WithVersion(n)
		}
	}
	return definedKind(crd).WithVersion("")
}

// newKinds returns the kinds that the definitions among objects define.
func newKinds(objects []*unstructured.Unstructured) map[schema.GroupKind]bool {
	kinds := map[schema.GroupKind]bool{}
	for _, obj := range objects {
		if isDefinition(obj) {
			kinds[definedKind(obj)] = true
		}
	}
	return kinds
}

// newNamespaces returns the names of the Namespaces among objects.
func newNamespaces(objects []*unstructured.Unstructured) map[string]bool {
	names := map[string]bool{}
	for _, obj := range objects {
		if obj.GetKind() == "Namespace" {
			names[obj.GetName()] = true
		}
	}
	return names
}

// established reports whether a definition is served. It ignores whether its names are
// accepted: if the short names of a definition equal its own plural, as in Pipelines
// v0.44, the server reports a conflict and serves it all the same.
func established(crd *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.Maps(crd.Object, "status", "conditions"), func(condition map[string]any) bool {
		return condition["type"] == "Established" && condition["status"] == "True"
	})
}

func isWorkload(kind schema.GroupKind) bool {
	switch kind.Group {
	case "apps", "batch":
		return true
	}
	return kind == schema.GroupKind{Kind: "Pod"}
}

// prefixed returns prefix and text, or "" for an empty text.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
