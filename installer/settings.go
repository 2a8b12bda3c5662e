package installer

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

// Merging is what decides how ConfigMaps are merged.
type Merging struct {
	Declared Declared
	Previous []*unstructured.Unstructured // see Options.Previous
}

// MergedData returns the data that a ConfigMap of a release has after an install: the release's,
// with what the user changed in the cluster, see mergeConfigMap.
// What the user may not read counts as absent. key is the only one that the caller is interested
// in: where the cluster and the release agree about it, the inventory is not read.
func (c *Cluster) MergedData(
	ctx context.Context, next *unstructured.Unstructured, key string, options Merging,
) (map[string]string, error) {
	current, err := c.current(ctx, next)
	if err != nil || current == nil {
		return ConfigData(next), ignoreForbidden(err)
	}
	if same(lookUp(ConfigData(current), key), lookUp(ConfigData(next), key)) {
		return ConfigData(next), nil
	}
	inventory, err := c.Inventory(ctx)
	if err := ignoreForbidden(err); err != nil {
		return nil, err
	}
	// Without the embedded release, what another tool installed is judged as it is.
	bases := mergeBases(next, current, inventory, options.Previous)
	merged, _ := mergeConfigMap(next, current, bases, options.Declared.Keys[kube.Identity(next)])
	return ConfigData(merged), nil
}

// AssignsUsers reports whether the cluster gives containers without a user one of its own, as
// OpenShift's SecurityContextConstraints do.
func (c *Cluster) AssignsUsers() (bool, error) {
	return c.Serves(live.SecurityContextConstraints)
}
