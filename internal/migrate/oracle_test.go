package migrate_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"knative.dev/pkg/apis"
	kjson "sigs.k8s.io/json"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/migrate"
)

// TestOracle compares the conversion with Tekton's own. Tekton's examples are v1; its code
// makes v1beta1 of each, and both conversions turn that back.
func TestOracle(t *testing.T) {
	compared := map[string]int{}
	for _, example := range golden.Examples(t, "github.com/tektoncd/pipeline") {
		var head struct{ APIVersion, Kind string }
		if example.Err != nil || json.Unmarshal(example.JSON, &head) != nil || head.APIVersion != "tekton.dev/v1" {
			continue
		}
		if bytes.Contains(example.JSON, []byte("$(inputs.params.")) {
			continue // which Tekton leaves, and ours writes as v1 has it
		}
		old := older(t, head.Kind, example.JSON)
		if old == nil {
			continue
		}
		text, err := sigsyaml.Marshal(old)
		if err != nil {
			t.Fatal(err)
		}
		want := tektons(t, head.Kind, text)
		got := ours(t, head.Kind, text)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s, document %d: got\n%s\nwant\n%s", example.File, example.Index, asJSON(t, got), asJSON(t, want))
		}
		compared[head.Kind]++
	}
	for kind, least := range map[string]int{"Task": 40, "Pipeline": 10, "TaskRun": 50, "PipelineRun": 50} {
		if compared[kind] < least {
			t.Errorf("only %d examples of the kind %s were compared", compared[kind], kind)
		}
	}
}

// older returns an object of v1 as Tekton has it in v1beta1, without what nobody writes; nil
// for other kinds, and for what Tekton's examples have wrong.
func older(t *testing.T, kind string, raw []byte) map[string]any {
	t.Helper()
	now, before := pair(kind)
	if now == nil || json.Unmarshal(raw, now) != nil {
		return nil
	}
	if err := before.ConvertFrom(t.Context(), now.(apis.Convertible)); err != nil {
		return nil
	}
	var fields map[string]any
	if err := json.Unmarshal(asJSON(t, before), &fields); err != nil {
		t.Fatal(err)
	}
	fields["apiVersion"], fields["kind"] = "tekton.dev/v1beta1", kind
	delete(fields, "status")
	return fields
}

// pair returns empty objects of v1 and v1beta1.
//
//nolint:staticcheck // the deprecated version is what is converted
func pair(kind string) (tekton, apis.Convertible) {
	switch kind {
	case "Task":
		return &pipelinev1.Task{}, &pipelinev1beta1.Task{}
	case "Pipeline":
		return &pipelinev1.Pipeline{}, &pipelinev1beta1.Pipeline{}
	case "TaskRun":
		return &pipelinev1.TaskRun{}, &pipelinev1beta1.TaskRun{}
	case "PipelineRun":
		return &pipelinev1.PipelineRun{}, &pipelinev1beta1.PipelineRun{}
	}
	return nil, nil
}

// tektons converts v1beta1 as Tekton's webhook does: with defaults first.
func tektons(t *testing.T, kind string, text []byte) any {
	t.Helper()
	now, before := pair(kind)
	if err := sigsyaml.UnmarshalStrict(text, before); err != nil {
		t.Fatal(err)
	}
	before.(apis.Defaultable).SetDefaults(t.Context())
	if err := before.ConvertTo(t.Context(), now.(apis.Convertible)); err != nil {
		t.Fatal(err)
	}
	return completed(t, now)
}

func ours(t *testing.T, kind string, text []byte) any {
	t.Helper()
	out, _ := migrate.Files([]migrate.File{{Name: "example.yaml", Text: text}}, migrate.Defaults())
	documents, problems := document.Parse("example.yaml", out[0].Text)
	if len(problems) > 0 || len(documents) != 1 {
		t.Fatalf("%d documents, %v:\n%s", len(documents), problems, out[0].Text)
	}
	now, _ := pair(kind)
	strict, err := kjson.UnmarshalStrict(documents[0].JSON, now)
	if err != nil || len(strict) > 0 {
		t.Errorf("decoding: %v %v\n%s", err, strict, out[0].Text)
	}
	return completed(t, now)
}

// completed returns an object with defaults as JSON, without its version.
func completed(t *testing.T, object tekton) any {
	t.Helper()
	object.SetDefaults(t.Context())
	var fields map[string]any
	if err := json.Unmarshal(asJSON(t, object), &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "apiVersion")
	delete(fields, "kind")
	delete(fields, "status")
	return fields
}

func asJSON(t *testing.T, object any) []byte {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
