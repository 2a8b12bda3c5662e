package hook

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// TestSelected holds which Triggers an EventListener selects by labels and namespaces.
func TestSelected(t *testing.T) {
	app := map[string]any{"matchLabels": map[string]any{"app": "x"}}
	for _, tt := range []struct {
		name   string
		spec   map[string]any
		labels labels.Set
		want   bool
	}{
		{"no selector", map[string]any{}, labels.Set{"app": "x"}, false},
		{"the label", map[string]any{"labelSelector": app}, labels.Set{"app": "x"}, true},
		{"another label", map[string]any{"labelSelector": app}, labels.Set{"app": "y"}, false},
		{"namespaces alone", map[string]any{"namespaceSelector": map[string]any{"matchNames": []any{"*"}}},
			labels.Set{}, true},
		{"both", map[string]any{"namespaceSelector": map[string]any{}, "labelSelector": app}, labels.Set{}, false},
	} {
		u := &unstructured.Unstructured{Object: map[string]any{"spec": tt.spec}}
		if got := selected(u).Matches(tt.labels); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}
