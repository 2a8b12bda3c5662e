package registries_test

import (
	"testing"

	"github.com/tekgate/tekgate/e2e/registries"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/signature"
)

// TestVerifiedSignatures holds that what cosign signed is signed for us on a mirror that real
// registries serve, after a copy, and that a mirror which was filled without signatures has none.
func TestVerifiedSignatures(t *testing.T) {
	const testdata = "../../internal/signature/testdata/"
	signer, err := signature.Parse(testdata+"cosign.pub", "")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, program registries.Program) {
		source := registries.Start(t, program, registries.Options{})
		mirror := registries.Start(t, program, registries.Options{})
		rules, err := image.Mirror{Registry: source.Host + "/loaded"}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		archive := registry.LoadRequest{File: testdata + "cosign-v3.1.3.tar", Rules: rules}
		_, err = registry.Load(t.Context(), archive, options)
		if err != nil {
			t.Fatal(err)
		}
		from := source.Host + "/loaded/app:v1"
		if r := copied(t, from, mirror.Host+"/tekton/app:v1"); r.Outcome != registry.Copied || r.Attached != 3 {
			t.Fatalf("%s with %d: %v", r.Outcome, r.Attached, r.Err)
		}
		push(t, mirror.Host+"/bare/app:v1", pulled(t, from))
		for where, signed := range map[string]bool{"/tekton/app:v1": true, "/bare/app:v1": false} {
			to := parse(t, mirror.Host+where)
			probed := registry.Probe(t.Context(),
				registry.ProbeRequest{Images: [][]image.Rewritten{{{From: to, To: to}}}}, options)
			statements, errs := registry.Statements(t.Context(), probed, options)
			if errs[0] != nil {
				t.Fatal(errs[0])
			}
			_, err := signature.Check([]signature.Signer{signer}, probed[0].Digest, statements[0])
			if (err == nil) != signed {
				t.Errorf("%s: error %v", to, err)
			}
		}
	})
}
