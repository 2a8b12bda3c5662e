package mutator

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"

	evanphx "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
)

// TestAuthored holds that what the server leaves out of objects makes no difference
// to patches.
func TestAuthored(t *testing.T) {
	config := Default()
	config.ServiceAccount.Name = "builder"
	config.PodTemplate.PriorityClassName = "builds"
	m, err := New(config, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	eachObject(t, func(was string) {
		req := withServerFields(t, was)
		whole, err := m.Mutate(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		req.authored = true
		authored, err := m.Mutate(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, want := patched(t, string(req.Raw), authored.Patch), patched(t, string(req.Raw), whole.Patch)
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(got, whole.Object) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// withServerFields adds what API servers add to an object.
func withServerFields(t *testing.T, raw string) Request {
	t.Helper()
	fields, err := object.Decode([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	fields["status"] = map[string]any{"a": nil}
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		metadata["managedFields"] = []any{map[string]any{"manager": "kubectl"}}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := fields["kind"].(string)
	version, _ := fields["apiVersion"].(string)
	return Request{Kind: schema.FromAPIVersionAndKind(version, kind), Namespace: "ci", Raw: text, Resolved: true}
}

// eachObject gives the objects of the snapshots' test, and those of the rules' cases.
func eachObject(t *testing.T, do func(raw string)) {
	t.Helper()
	var pairs [][2]json.RawMessage
	if err := json.Unmarshal(golden.Read(t, "snapshot/testdata/pairs.json"), &pairs); err != nil {
		t.Fatal(err)
	}
	for _, pair := range pairs {
		do(string(pair[0]))
		do(string(pair[1]))
	}
	inputs, err := filepath.Glob("testdata/*/*/input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("there are no cases, error %v", err)
	}
	for _, input := range inputs {
		if want := golden.ReadOptional(t, filepath.Join(filepath.Dir(input), "want.yaml")); want != nil {
			do(string(golden.JSON(t, golden.Read(t, input))))
			do(string(golden.JSON(t, want)))
		}
	}
}

// patched applies a patch, if there is one.
func patched(t *testing.T, raw string, text []byte) map[string]any {
	t.Helper()
	if len(text) == 0 {
		text = []byte("[]")
	}
	patch, err := evanphx.DecodePatch(text)
	if err != nil {
		t.Fatalf("%s is no patch: %v", text, err)
	}
	out, err := patch.Apply([]byte(raw))
	if err != nil {
		t.Fatalf("%s does not apply to %s: %v", text, raw, err)
	}
	object, err := object.Decode(out)
	if err != nil {
		t.Fatal(err)
	}
	return object
}
