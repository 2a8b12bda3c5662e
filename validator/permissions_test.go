package validator

import (
	"reflect"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tekgate/tekgate/manifests"
)

// TestTriggersRoles compares the roles that are built in with those of the embedded release.
func TestTriggersRoles(t *testing.T) {
	release, err := manifests.Tekton("triggers")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, o := range release.Objects {
		own := triggersRoles[o.GetName()]
		if o.GetKind() != clusterRoles.Kind || own == nil {
			continue
		}
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
			t.Fatal(err)
		}
		if found++; !reflect.DeepEqual(role.Rules, own) {
			t.Errorf("%s has\n%v\nand not\n%v", o.GetName(), role.Rules, own)
		}
	}
	if found != len(triggersRoles) {
		t.Errorf("the release has %d of %d roles", found, len(triggersRoles))
	}
}
