package mutator

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	gomodules "gomodules.xyz/jsonpatch/v2"
	evanphx "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
)

// patchPairs are objects before and after, beside those of the rules' cases.
var patchPairs = [][2]string{
	{`{}`, `{}`},
	{`{"a":1}`, `{"a":1.0}`},
	{`{"a":"1"}`, `{"a":1}`},
	{`{"a":null}`, `{}`},
	{`{}`, `{"a":null,"b":[],"c":{}}`},
	{`{"a":null}`, `{"a":{}}`},
	{`{"a":[]}`, `{"a":{}}`},
	{`{"a/b":{"~":1,"~1":2,"":3}}`, `{"a/b":{"~":2,"~1":{},"/":3}}`},
	{`{"a":[1,2,3]}`, `{"a":[0,1,2,3]}`},
	{`{"a":[1,2,3]}`, `{"a":[1,2,3,4,5]}`},
	{`{"a":[1,2,3]}`, `{"a":[1,9,8,2,3]}`},
	{`{"a":[1,2,3]}`, `{"a":[3]}`},
	{`{"a":[1,2,3,4,5,6]}`, `{"a":[1,7,6]}`},
	{`{"a":[1,1,1]}`, `{"a":[1,1]}`},
	{`{"a":[1,1]}`, `{"a":[1,1,1]}`},
	{`{"a":[[1],{"b":[2]}]}`, `{"a":[[1,2],{"b":[3,2]},null]}`},
	{`{"a":[{"b":[{"c":1},{"d":2}]},5]}`, `{"a":[{"b":[{"d":2}]},5]}`},
	{`{"metadata":{"managedFields":[{"a":1}],"labels":{"b":"c"}},"status":{"d":1}}`,
		`{"metadata":{"managedFields":[{"a":1}],"labels":{}},"status":{"d":1}}`},
	{`{"metadata":[1],"status":{}}`, `{"metadata":[2],"status":{}}`},
	{`{"a":{"01":0,"02":0,"03":0,"04":0,"05":0,"06":0,"07":0,"08":0,"09":0,"10":0,"11":0,"12":0,"13":0,"14":0,"15":0,"16":0,"17":0}}`,
		`{"a":{"01":0,"02":0,"03":0,"04":0,"05":0,"06":0,"07":0,"08":0,"09":0,"10":0,"11":0,"12":0,"13":0,"14":0,"15":1,"16":0,"18":0,"00":0}}`},
	{`{"a":1,"a":{"b":[1]}}`, `{"a":{"b":[2,1]}}`},
}

// checkPatch holds that a patch makes of what was what is, by the library that the
// API server has, and that the way that was taken before makes the same: both
// objects encoded, and compared by a library.
func checkPatch(t *testing.T, was, is string) {
	t.Helper()
	before, err := object.Decode([]byte(was))
	after, err2 := object.Decode([]byte(is))
	if err != nil || err2 != nil || !utf8.ValidString(was+is) || untouched(before, after) {
		return
	}
	var walked snapshot
	walked.take(before)
	text, err := walked.appendPatch([]byte("before"), after)
	patch, appended := bytes.CutPrefix(text, []byte("before"))
	if err != nil || !appended {
		t.Fatalf("the patch is %s, error %v", text, err)
	}
	if got := patched(t, was, patch); !reflect.DeepEqual(got, after) {
		t.Fatalf("%s makes %v of %s, want %s", patch, got, was, is)
	}
	if reflect.DeepEqual(before, after) != (len(patch) == 0) {
		t.Fatalf("%s makes %s of %s", patch, is, was)
	}
	encoded, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := gomodules.CreatePatch([]byte(was), encoded)
	if err != nil {
		t.Fatal(err)
	}
	operations, err := json.Marshal(reference)
	if err != nil {
		t.Fatal(err)
	}
	if got := patched(t, was, operations); !reflect.DeepEqual(got, after) {
		t.Fatalf("the reference makes %v of %s, want %s", got, was, is)
	}
}

// untouched tells whether the objects differ where no rule writes.
func untouched(before, after map[string]any) bool {
	was, _ := before["metadata"].(map[string]any)
	is, _ := after["metadata"].(map[string]any)
	return !reflect.DeepEqual(before["status"], after["status"]) || was != nil && is != nil &&
		!reflect.DeepEqual(was["managedFields"], is["managedFields"])
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

func seedPatches(tb testing.TB, add func(was, is string)) {
	tb.Helper()
	for _, pair := range patchPairs {
		add(pair[0], pair[1])
		add(pair[1], pair[0])
	}
	inputs, err := filepath.Glob("testdata/*/*/input.yaml")
	if err != nil || len(inputs) == 0 {
		tb.Fatalf("there are no cases, error %v", err)
	}
	for _, input := range inputs {
		if want := golden.ReadOptional(tb, filepath.Join(filepath.Dir(input), "want.yaml")); want != nil {
			was, is := string(golden.JSON(tb, golden.Read(tb, input))), string(golden.JSON(tb, want))
			add(was, is)
			add(is, was)
		}
	}
}

func TestPatch(t *testing.T) {
	seedPatches(t, func(was, is string) { checkPatch(t, was, is) })
}

func FuzzPatch(f *testing.F) {
	seedPatches(f, func(was, is string) { f.Add(was, is) })
	f.Fuzz(checkPatch)
}

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
	seedPatches(t, func(was, _ string) {
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
