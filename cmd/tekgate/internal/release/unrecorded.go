package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// unrecorded notes the components that run in the cluster and are neither part of the release
// nor removed by it: after the loss of the inventory, or because another tool installed them.
func (l *Loaded) unrecorded(ctx context.Context, cluster *installer.Cluster) ([]string, error) {
	missing := slices.DeleteFunc(slices.Clone(release.Components), func(c release.Component) bool {
		return slices.Contains(l.dropped, c.Name) ||
			slices.ContainsFunc(l.parts, func(p installer.Part) bool { return p.Name == c.Name })
	})
	versions, run := make([]string, len(missing)), make([]bool, len(missing))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(installer.Parallel)
	for i, component := range missing {
		group.Go(func() (err error) {
			versions[i], run[i], err = running(ctx, cluster, component)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var names, titles []string
	for i, component := range missing {
		if run[i] {
			names = append(names, component.Name)
			titles = append(titles, strings.TrimSpace(component.Title+" "+versions[i]))
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("in this cluster there also is %s, which the record of the installation does not have: "+
		"it stays as it is, and neither an upgrade nor an uninstall changes it; pass --with %s to keep it as a part of the installation",
		strings.Join(titles, ", "), strings.Join(names, ","))}, nil
}

// running reports whether a Deployment of a component is in the cluster, and its version by its
// ConfigMap; "" for a version that is not known. The ConfigMap alone may have stayed after an
// uninstall. What the user may not read is not there.
func running(ctx context.Context, cluster *installer.Cluster, component release.Component,
) (version string, runs bool, err error) {
	embedded, err := manifests.Component(component)
	if err != nil {
		return "", false, err
	}
	for _, obj := range embedded.Objects {
		info := obj.GetKind() == "ConfigMap" && obj.GetName() == component.Info
		if !info && obj.GetKind() != "Deployment" {
			continue
		}
		var found *unstructured.Unstructured
		found, err = cluster.Get(ctx, obj.GroupVersionKind(), obj.GetNamespace(), obj.GetName())
		switch {
		case apierrors.IsForbidden(err):
		case err != nil:
			return "", false, err
		case found != nil && info:
			version = live.Text(found.Object, "data", "version")
		case found != nil:
			runs = true
		}
	}
	return version, runs, nil
}
