package validator_test

import (
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// TestOffline wants Tekton's own validation of whole objects where nobody else will do
// it, and only there.
func TestOffline(t *testing.T) {
	raw := []byte(`{"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": {"name": "a"}, "spec": {"tasks": [{"name": "b"}]}}`)
	for offline, want := range map[bool]int{true: 1, false: 0} {
		v := &validator.Validator{Config: validator.Default(), Offline: offline}
		found := 0
		for _, f := range v.Judge(t.Context(), subject(t, raw)).Findings {
			if f.Rule == "tekton-rejects" {
				found++
			}
		}
		if found != want {
			t.Errorf("offline %v: %d findings of tekton-rejects, want %d", offline, found, want)
		}
	}
}
