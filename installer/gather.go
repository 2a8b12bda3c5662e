package installer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

// gather asks the cluster for all that Preflight and the plan need to know. It
// writes nothing.
func (c *Cluster) gather(ctx context.Context, release Release) (Facts, error) {
	facts := Facts{Server: c.version, Live: map[string]*unstructured.Unstructured{}}
	questions := []func(context.Context) error{
		func(ctx context.Context) (err error) {
			facts.Inventory, err = c.Inventory(ctx)
			c.read = false // the next plan has to read it again
			// Somebody who may not read it is told so by the permissions.
			if apierrors.IsForbidden(err) {
				return nil
			}
			return err
		},
		func(ctx context.Context) (err error) {
			facts.Architectures, err = c.architectures(ctx)
			return err
		},
		func(ctx context.Context) (err error) {
			facts.Operator, err = c.operators(ctx)
			return err
		},
		func(ctx context.Context) error { return c.gatherLive(ctx, release.Objects, facts.Live) },
	}
	err := forEach(ctx, len(questions), func(ctx context.Context, i int) error { return questions[i](ctx) })
	facts.Now = time.Now()
	facts.Stranded = stranded(release.Objects, facts.Live)
	if err == nil {
		facts.Denied, err = c.denied(ctx, release.Objects, facts.Live)
	}
	if err == nil {
		facts.Needed, facts.Serving, err = c.gatherNeeded(ctx, release, facts.Live)
	}
	return facts, err
}

func (c *Cluster) gatherLive(
	ctx context.Context,
	objects []*unstructured.Unstructured,
	into map[string]*unstructured.Unstructured,
) error {
	var lock sync.Mutex
	return forEach(ctx, len(objects), func(ctx context.Context, i int) error {
		current, err := c.current(ctx, objects[i])
		if apierrors.IsForbidden(err) || current == nil {
			return ignoreForbidden(err)
		}
		lock.Lock()
		defer lock.Unlock()
		into[kube.Identity(objects[i])] = current
		return err
	})
}

func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

// Platforms returns the platforms of the cluster's nodes, such as
// "linux/arm64"; none where it has no node or the user may not see them.
func (c *Cluster) Platforms(ctx context.Context) ([]string, error) {
	count, err := c.architectures(ctx)
	return slices.Sorted(maps.Keys(count)), err
}

// architectures counts nodes by platform; nil where the user may not see them.
func (c *Cluster) architectures(ctx context.Context) (map[string]int, error) {
	nodes, err := c.List(ctx, schema.GroupVersionKind{Version: "v1", Kind: "Node"})
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return live.Platforms(nodes), nil
}

func (c *Cluster) operators(ctx context.Context) ([]string, error) {
	var names []string
	for _, version := range []string{"v1alpha1", "v1beta1", "v1"} {
		configs, err := c.List(
			ctx,
			schema.GroupVersionKind{Group: "operator.tekton.dev", Version: version, Kind: "TektonConfig"},
		)
		if err != nil {
			return nil, ignoreForbidden(err)
		}
		for _, config := range configs {
			names = append(names, config.GetName())
		}
		if len(names) > 0 {
			break
		}
	}
	return names, nil
}

// stranded finds definitions whose new form lacks the very version in which
// the cluster writes their objects. Such objects could not be brought over.
func stranded(objects []*unstructured.Unstructured, current map[string]*unstructured.Unstructured) []string {
	var sentences []string
	for _, obj := range objects {
		was := current[kube.Identity(obj)]
		if !manifest.IsDefinition(obj) || was == nil || len(droppedVersions(obj, was)) == 0 {
			continue
		}
		if storage := manifest.StorageKind(was).Version; !slices.Contains(manifest.DefinedVersions(obj), storage) {
			sentences = append(
				sentences,
				fmt.Sprintf(
					"%s stores its objects as %s, which the new release (%s) does not have",
					kube.Name(was),
					storage,
					strings.Join(manifest.DefinedVersions(obj), ", "),
				),
			)
		}
	}
	return sentences
}
