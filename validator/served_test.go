package validator_test

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/manifests"
	"github.com/tekgate/tekgate/validator/rule"
)

// TestServedKinds holds that rule.ServedKinds are what the CRDs of the embedded releases serve.
func TestServedKinds(t *testing.T) {
	var served []schema.GroupVersionKind
	for _, name := range []string{"pipeline", "triggers"} {
		release, err := manifests.Tekton(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range release.Objects {
			if o.GetKind() == "CustomResourceDefinition" {
				served = append(served, servedBy(t, o)...)
			}
		}
	}
	for _, kind := range served {
		if !slices.Contains(rule.ServedKinds, kind) {
			t.Errorf("%s is served and not listed", kind)
		}
	}
	if len(served) != len(rule.ServedKinds) {
		t.Errorf("%d kinds are served and %d listed: %v", len(served), len(rule.ServedKinds), rule.ServedKinds)
	}
}

func servedBy(t *testing.T, crd *unstructured.Unstructured) (kinds []schema.GroupVersionKind) {
	t.Helper()
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	name, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		t.Fatal(err)
	}
	if group != rule.TektonGroup && group != rule.TriggersGroup {
		return nil
	}
	for _, version := range versions {
		fields := version.(map[string]any)
		if fields["served"] == true {
			kinds = append(kinds, schema.GroupVersionKind{Group: group, Version: fields["name"].(string), Kind: name})
		}
	}
	return kinds
}
