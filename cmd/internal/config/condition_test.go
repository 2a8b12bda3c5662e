package config_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/manifests"
)

// TestConditions holds that what the components write conditions for are the webhooks
// that are installed.
func TestConditions(t *testing.T) {
	conditions, err := config.Default().Conditions(nil)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := manifests.Tekgate()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		hooks, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
		for _, h := range hooks {
			hook := h.(map[string]any)
			list, _ := hook["matchConditions"].([]any)
			for _, c := range list {
				if c.(map[string]any)["name"] != wellknown.MatchCondition {
					continue
				}
				name := hook["name"].(string)
				if conditions[name] == "" {
					t.Errorf("nothing is written for %s", name)
				}
				delete(conditions, name)
			}
		}
	}
	for name := range conditions {
		t.Errorf("%s has no condition to write", name)
	}
}
