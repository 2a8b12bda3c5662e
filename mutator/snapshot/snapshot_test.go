package snapshot

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	gomodules "gomodules.xyz/jsonpatch/v2"
	evanphx "gopkg.in/evanphx/json-patch.v4"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
)

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
	var walked Object
	walked.take(before)
	text, err := walked.AppendPatch([]byte("before"), after)
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

// seedPatches gives the objects of testdata/pairs.json before and after, and those of the
// rules' cases.
func seedPatches(tb testing.TB, add func(was, is string)) {
	tb.Helper()
	var pairs [][2]json.RawMessage
	if err := json.Unmarshal(golden.Read(tb, "testdata/pairs.json"), &pairs); err != nil {
		tb.Fatal(err)
	}
	for _, pair := range pairs {
		add(string(pair[0]), string(pair[1]))
		add(string(pair[1]), string(pair[0]))
	}
	inputs, err := filepath.Glob("../testdata/*/*/input.yaml")
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
