package installer

import (
	"encoding/json"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"knative.dev/pkg/apis"
)

// TestProbes holds the objects that Tekton's admission servers are tried with to Tekton's
// own validation: one that is refused ends every install that waits.
func TestProbes(t *testing.T) {
	type validatable interface {
		apis.Validatable
		SetName(string)
	}
	for definition, object := range map[string]validatable{
		"tasks.tekton.dev":                    &v1.Task{},
		"triggerbindings.triggers.tekton.dev": &v1beta1.TriggerBinding{},
	} {
		text, err := json.Marshal(map[string]any{"spec": probes[definition]})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, object); err != nil {
			t.Fatal(err)
		}
		object.SetName("tekgate-probe")
		if err := object.Validate(apis.WithinCreate(t.Context())); err != nil {
			t.Errorf("the object of %s is refused: %v", definition, err)
		}
	}
	if len(probes) != 2 {
		t.Errorf("there are %d objects, and two are looked at", len(probes))
	}
}
