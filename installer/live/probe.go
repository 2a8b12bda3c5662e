package live

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// ProbeNamespace is the namespace of the objects that are created in dry runs: it always
// exists, and no configuration excludes it by its name.
const ProbeNamespace = "default"

// ProbeRun returns a TaskRun, in a version of its kind, with a step that runs Kaniko.
// It is for dry runs.
func ProbeRun(version string) *unstructured.Unstructured {
	step := map[string]any{
		"name": "build", "image": "gcr.io/kaniko-project/executor:v1.24.0", "command": []any{"/kaniko/executor"},
	}
	run := &unstructured.Unstructured{
		Object: map[string]any{"spec": map[string]any{"taskSpec": map[string]any{"steps": []any{step}}}},
	}
	run.SetGroupVersionKind(TaskRun.WithVersion(version))
	run.SetNamespace(ProbeNamespace)
	run.SetGenerateName("tekgate-check-")
	run.SetAnnotations(map[string]string{wellknown.ProbeKey: "check"})
	return run
}

// Answered reports whether Tekgate's admission server has processed a ProbeRun, and the
// hash of the configuration that it used.
func Answered(run *unstructured.Unstructured) (config string, answered bool) {
	var record struct{ Config string }
	answered = json.Unmarshal([]byte(run.GetAnnotations()[wellknown.MutatedKey]), &record) == nil
	return record.Config, answered
}

// OwnConfiguration is the name of Tekgate's webhook configuration of a kind.
func OwnConfiguration(kind string) string {
	if kind == Mutating.Kind {
		return wellknown.MutatingConfiguration
	}
	return wellknown.ValidatingConfiguration
}
