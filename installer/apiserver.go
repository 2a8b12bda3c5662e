package installer

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
)

// APIServerPorts returns the ports at which Pods reach the API server: those of its
// endpoints. It returns none where the user may not see them.
func (c *Cluster) APIServerPorts(ctx context.Context) ([]int64, error) {
	kind := schema.GroupVersionKind{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"}
	endpoints, err := c.List(ctx, kind,
		client.InNamespace("default"), client.MatchingLabels{"kubernetes.io/service-name": "kubernetes"})
	if err != nil {
		return nil, ignoreForbidden(err)
	}
	var ports []int64
	for _, slice := range endpoints {
		for _, port := range live.Maps(slice.Object, "ports") {
			if number, found, _ := unstructured.NestedInt64(port, "port"); found && !slices.Contains(ports, number) {
				ports = append(ports, number)
			}
		}
	}
	slices.Sort(ports)
	return ports, nil
}
