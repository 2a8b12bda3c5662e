package mutator_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	gomodules "gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/mutator"
)

type jsonOperation = gomodules.Operation

// FuzzMutate takes any bytes for an object of any kind: no panic, and every patch
// applies, gives the object that the rules made, and leaves nothing to do.
func FuzzMutate(f *testing.F) {
	for _, c := range loadCases(f) {
		f.Add(c.input)
	}
	m := everything(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		req := mutator.Request{Kind: claimed(raw), Namespace: namespace, Raw: raw, Resolved: true, Explain: true}
		out, err := m.Mutate(t.Context(), req)
		// The API server sends valid UTF-8; the two libraries disagree about
		// the rest, and nothing is lost by that.
		if err != nil || len(out.Patch) == 0 || !utf8.Valid(raw) {
			return
		}
		patched := apply(t, raw, out)
		if !reflect.DeepEqual(any(out.Object), decodeNumbers(t, patched)) {
			t.Errorf("the patch %s makes %s of %s", out.Patch, patched, raw)
		}
		req.Raw = patched
		again, err := m.Mutate(t.Context(), req)
		if err != nil || len(again.Patch) > 0 {
			t.Errorf("a second pass over %s: %s, error %v", patched, again.Patch, err)
		}
	})
}

// claimed is the kind that an object says it is of, a TaskRun where none of ours.
func claimed(raw []byte) schema.GroupVersionKind {
	var meta struct{ APIVersion, Kind string }
	_ = json.Unmarshal(raw, &meta)
	kind := schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind)
	if mutator.Matches(kind) {
		return kind
	}
	return mutator.Rules[0].Kinds[0]
}
