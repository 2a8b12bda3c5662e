package mutator_test

import (
	"reflect"
	"testing"
	"unicode/utf8"

	gomodules "gomodules.xyz/jsonpatch/v2"

	"github.com/tekgate/tekgate/mutator"
)

type jsonOperation = gomodules.Operation

// FuzzMutate takes any bytes for a TaskRun: no panic, and every patch applies,
// gives the object that the rules made, and leaves nothing to do.
func FuzzMutate(f *testing.F) {
	for _, c := range loadCases(f) {
		f.Add(c.input)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := testCase{mutator: *withAccount()}
		kind := mutator.Rules[0].Kinds[0]
		out, err := c.mutator.Mutate(t.Context(), kind, namespace, raw)
		// The API server sends valid UTF-8; the two libraries disagree about
		// the rest, and nothing is lost by that.
		if err != nil || len(out.Patch) == 0 || !utf8.Valid(raw) {
			return
		}
		patched := apply(t, raw, out)
		if !reflect.DeepEqual(any(out.Object), decodeNumbers(t, patched)) {
			t.Errorf("the patch %v makes %s of %s", out.Patch, patched, raw)
		}
		again, err := c.mutator.Mutate(t.Context(), kind, namespace, patched)
		if err != nil || len(again.Patch) > 0 {
			t.Errorf("a second pass over %s: %v, error %v", patched, again.Patch, err)
		}
	})
}
