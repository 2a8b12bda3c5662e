package manifest_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/manifests"
)

// TestAdaptWithoutAdmissionPolicies holds that Tekgate installs on a server that has no
// ValidatingAdmissionPolicies, and that each one that is left out is said.
func TestAdaptWithoutAdmissionPolicies(t *testing.T) {
	own, err := manifests.Tekgate()
	if err != nil {
		t.Fatal(err)
	}
	old := func(kind schema.GroupVersionKind) (bool, error) {
		return !strings.HasPrefix(kind.Kind, "ValidatingAdmissionPolicy"), nil
	}
	adapted, notes, refused, err := manifest.Adapt(own, old)
	if err != nil || len(refused) > 0 {
		t.Fatalf("refused %v, error %v", refused, err)
	}
	left := len(own) - len(adapted)
	if left == 0 || len(notes) != left {
		t.Errorf("%d objects are left out and %d notes say so", left, len(notes))
	}
	for _, obj := range adapted {
		if strings.HasPrefix(obj.GetKind(), "ValidatingAdmissionPolicy") {
			t.Errorf("%s %s is not left out", obj.GetKind(), obj.GetName())
		}
	}
}
