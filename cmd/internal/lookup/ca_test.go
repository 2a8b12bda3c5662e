package lookup_test

import (
	"testing"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
)

// TestConfigMap holds that no value of a ConfigMap is handed on, and what one that is not there
// counts as.
func TestConfigMap(t *testing.T) {
	files := lookup.Files{}
	files.Add(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "tekgate-ca"},
		"data": map[string]any{"b": "2", "ca.crt": "1"}}, "ci")
	there := lookup.New(files, lookup.Options{})
	found, err := there.ConfigMap(t.Context(), "ci", "tekgate-ca")
	if err != nil || found == nil || len(found.Keys) != 2 || found.Keys[1] != "ca.crt" || found.Assumed {
		t.Errorf("found %+v, error %v", found, err)
	}
	if found, err := there.ConfigMap(t.Context(), "other", "tekgate-ca"); found != nil || err != nil {
		t.Errorf("in another namespace: found %+v, error %v", found, err)
	}
	assuming := lookup.New(files, lookup.Options{Assume: true})
	found, err = assuming.ConfigMap(t.Context(), "other", "tekgate-ca")
	if err != nil || found == nil || !found.Assumed {
		t.Errorf("assumed: found %+v, error %v", found, err)
	}
}
