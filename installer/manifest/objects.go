package manifest

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// IsTekgateConfig reports whether obj is the ConfigMap with the servers' configuration.
func IsTekgateConfig(obj *unstructured.Unstructured) bool {
	return obj.GetKind() == "ConfigMap" &&
		obj.GetNamespace() == wellknown.TekgateNamespace && obj.GetName() == wellknown.ConfigMap
}

// IsWebhookConfiguration reports whether obj is a webhook configuration of either kind.
func IsWebhookConfiguration(obj *unstructured.Unstructured) bool {
	kind := obj.GetKind()
	return kind == "MutatingWebhookConfiguration" || kind == "ValidatingWebhookConfiguration"
}

// IsDefinition reports whether obj is a CustomResourceDefinition.
func IsDefinition(obj *unstructured.Unstructured) bool { return obj.GetKind() == live.Definition.Kind }

// DefinedKind returns the kind of a definition.
func DefinedKind(crd *unstructured.Unstructured) schema.GroupKind {
	return schema.GroupKind{
		Group: live.Text(crd.Object, "spec", "group"),
		Kind:  live.Text(crd.Object, "spec", "names", "kind"),
	}
}

// DefinedVersions returns the names of a definition's versions.
func DefinedVersions(crd *unstructured.Unstructured) []string {
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
			return DefinedKind(crd).WithVersion(n)
		}
	}
	return DefinedKind(crd).WithVersion("")
}

// NewKinds returns the kinds that the definitions among objects define.
func NewKinds(objects []*unstructured.Unstructured) map[schema.GroupKind]bool {
	kinds := map[schema.GroupKind]bool{}
	for _, obj := range objects {
		if IsDefinition(obj) {
			kinds[DefinedKind(obj)] = true
		}
	}
	return kinds
}

// HoldsKeys reports whether an object is the Secret of the keys that Chains signs with. A release
// has it without data; users put the keys in, and no install can make them again.
func HoldsKeys(obj *unstructured.Unstructured) bool {
	return obj.GetKind() == "Secret" && obj.GetNamespace() == "tekton-chains" && obj.GetName() == "signing-secrets"
}
