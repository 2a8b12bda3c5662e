package live

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ProbeNamespace is where the API server is asked to create an object without
// keeping it: one that is always there, and that no configuration leaves out by its
// name.
const ProbeNamespace = "default"

// A TaskRun with probeKey asks Tekgate's admission server for its record even if it
// changes nothing; doneKey is where it writes that.
const (
	probeKey = "tekgate.dev/probe"
	doneKey  = "tekgate.dev/mutated"
)

// ProbeRun returns a TaskRun, in a version of its kind, with a step that runs Kaniko.
// It is for dry runs.
func ProbeRun(version string) *unstructured.Unstructured {
	run := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"taskSpec": map[string]any{"steps": []any{
		map[string]any{"name": "build", "image": "gcr.io/kaniko-project/executor:v1.24.0", "command": []any{"/kaniko/executor"}},
	}}}}}
	run.SetGroupVersionKind(TaskRun.WithVersion(version))
	run.SetNamespace(ProbeNamespace)
	run.SetGenerateName("tekgate-check-")
	run.SetAnnotations(map[string]string{probeKey: "check"})
	return run
}

// Answered reports whether Tekgate's admission server was asked about a ProbeRun that
// came back, and by which configuration it answered, as a hash.
func Answered(run *unstructured.Unstructured) (config string, answered bool) {
	var record struct{ Config string }
	answered = json.Unmarshal([]byte(run.GetAnnotations()[doneKey]), &record) == nil
	return record.Config, answered
}

// OwnConfiguration is the name of Tekgate's webhook configuration of a kind.
func OwnConfiguration(kind string) string {
	if kind == Mutating.Kind {
		return "mutate.tekgate.dev"
	}
	return "validate.tekgate.dev"
}
