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

// TestOfflineAccount wants the ServiceAccount that Tekton's own webhook would have written into
// a run, where nobody else judges it, and only there.
func TestOfflineAccount(t *testing.T) {
	raw := []byte(`{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "a"}, "spec": {"taskRef": {"name": "b"}}}`)
	set := validator.NewSet(subjects(t, "others", `
apiVersion: v1
kind: ConfigMap
metadata: {name: config-defaults, namespace: tekton-pipelines}
data: {default-service-account: house}
`))
	for offline, want := range map[bool]int{true: 1, false: 0} {
		v := &validator.Validator{Config: validator.Default(), Offline: offline, Cluster: access{there{Set: set}}}
		found := 0
		for _, f := range v.Judge(t.Context(), subject(t, raw)).Findings {
			if f.Rule == "missing-service-account" {
				found++
			}
		}
		if found != want {
			t.Errorf("offline %v: %d findings of missing-service-account, want %d", offline, found, want)
		}
	}
}
