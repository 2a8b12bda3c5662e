package installer

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
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

// AppliedByTekgate reports whether an install of Tekgate's has applied an object.
func AppliedByTekgate(obj *unstructured.Unstructured) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == FieldManager && f.Operation == metav1.ManagedFieldsOperationApply
	})
}

// ConfigData returns the data of a ConfigMap.
func ConfigData(configMap *unstructured.Unstructured) map[string]string {
	data, _, _ := unstructured.NestedStringMap(configMap.Object, "data")
	return data
}

// hasRules reports whether a webhook configuration has a webhook with rules.
func hasRules(configuration *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.Maps(configuration.Object, "webhooks"), func(webhook map[string]any) bool {
		rules, _ := webhook["rules"].([]any)
		return len(rules) > 0
	})
}

// isOwn reports whether an object is one of Tekgate's.
func isOwn(obj *unstructured.Unstructured) bool {
	return obj.GetLabels()["app.kubernetes.io/part-of"] == "tekgate"
}

// callsService reports whether a webhook is served by a Service of the cluster.
func callsService(webhook map[string]any) bool {
	_, found, _ := unstructured.NestedMap(webhook, "clientConfig", "service")
	return found
}

func hasBundle(withClientConfig map[string]any) bool {
	return live.Text(withClientConfig, "clientConfig", "caBundle") != ""
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
