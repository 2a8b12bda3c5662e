package installer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// FieldManager owns what Tekgate applies.
const FieldManager = "tekgate"

// parallel is how many requests are on their way at once: enough to hide the
// way to a distant server, too few to be a load on it.
const parallel = 8

// Cluster is where objects are applied.
type Cluster struct {
	client  client.Client
	version string // of the server, as it says it
}

// Connect returns the cluster that config names, after asking it for its
// version: a server that does not answer is better known before the work.
func Connect(ctx context.Context, config *rest.Config) (*Cluster, error) {
	config = rest.CopyConfig(config)
	// One user's install is no load; the server's own fairness is enough.
	config.QPS = -1
	version, err := serverVersion(ctx, config)
	if err != nil {
		return nil, err
	}
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, http)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	c, err := client.New(config, client.Options{HTTPClient: http, Mapper: mapper, Scheme: runtime.NewScheme()})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return &Cluster{client: c, version: version}, nil
}

// Client returns the client of the cluster, for unstructured objects.
func (c *Cluster) Client() client.Client { return c.client }

func serverVersion(ctx context.Context, config *rest.Config) (string, error) {
	asking := rest.CopyConfig(config)
	asking.Timeout = 15 * time.Second
	d, err := discovery.NewDiscoveryClientForConfig(asking)
	if err != nil {
		return "", fmt.Errorf("connecting to the cluster: %w", err)
	}
	var answer version.Info
	text, err := d.RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		return "", fmt.Errorf("connecting to the cluster at %s: %w: check that the server runs, and that --kubeconfig and --context name the right one", config.Host, reason(err))
	}
	return answer.GitVersion, nil
}

// serves reports whether the server serves a kind in this very version.
func (c *Cluster) serves(kind schema.GroupVersionKind) (bool, error) {
	_, err := c.client.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// live returns the cluster's version of an object, or nil where there is none.
func (c *Cluster) live(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	err := c.client.Get(ctx, client.ObjectKeyFromObject(obj), live)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name(obj), err)
	}
	return live, nil
}

// list returns the objects of a kind; none where the kind is not served.
func (c *Cluster) list(ctx context.Context, kind schema.GroupVersionKind, options ...client.ListOption) ([]unstructured.Unstructured, error) {
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(kind)
	err := c.client.List(ctx, found, options...)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s objects: %w", kind.Kind, err)
	}
	return found.Items, nil
}

// forEach calls do for 0 to n-1, some at a time, and returns the first error.
func forEach(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	return group.Wait()
}
