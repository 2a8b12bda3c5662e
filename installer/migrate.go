package installer

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

// droppedVersions returns the versions in which the cluster may hold objects
// and that the new definition no longer has. The server refuses a definition
// that drops one (tektoncd/operator#1675).
func droppedVersions(next, current *unstructured.Unstructured) []string {
	stored, _, _ := unstructured.NestedStringSlice(current.Object, "status", "storedVersions")
	defined := manifest.DefinedVersions(next)
	return slices.DeleteFunc(stored, func(v string) bool { return slices.Contains(defined, v) })
}

// migrate writes every object of a definition again, in the version that the
// cluster stores today, and then says so in status.storedVersions.
func (c *Cluster) migrate(ctx context.Context, crd *unstructured.Unstructured) error {
	storage := manifest.StorageKind(crd)
	objects, err := c.List(ctx, storage)
	if err != nil {
		return fmt.Errorf("migrating the objects of %s to %s: %w", crd.GetName(), storage.Version, err)
	}
	err = forEach(ctx, len(objects), func(ctx context.Context, i int) error {
		obj := objects[i]
		// An empty patch is stored anew when the stored version is not today's.
		err := c.client.Patch(
			ctx,
			obj,
			client.RawPatch(types.MergePatchType, []byte("{}")),
			client.FieldOwner(FieldManager),
		)
		if err = client.IgnoreNotFound(err); err != nil {
			return fmt.Errorf("migrating %s to %s: %w", kube.Name(obj), storage.Version, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"status":{"storedVersions":[%q]}}`, storage.Version)
	merge := client.RawPatch(types.MergePatchType, patch)
	if err := c.client.Status().Patch(ctx, crd.DeepCopy(), merge, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("saying that %s is migrated: %w", crd.GetName(), err)
	}
	return nil
}
