package installer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/problems"
)

// FieldManager owns what Tekgate applies.
const FieldManager = "tekgate"

// Parallel is the number of concurrent requests: enough to hide the latency of a distant
// server, too few to load it.
const Parallel = 8

// Cluster is where objects are applied.
type Cluster struct {
	kube.Reader
	client  client.Client // the Reader's
	version string        // of the server, as it reports it

	inventory *Inventory // what Inventory has read; nil also if there is none
	read      bool       // whether it has
}

// Inventory returns the cluster's inventory, or nil if there is none. It is read once for what is
// rendered and for the plan of it: an apply refuses to go on if it has changed by then.
func (c *Cluster) Inventory(ctx context.Context) (*Inventory, error) {
	if c.read {
		return c.inventory, nil
	}
	inventory, err := ReadInventory(ctx, c.client)
	if err != nil {
		return nil, err
	}
	c.inventory, c.read = inventory, true
	return inventory, nil
}

// Connect returns the cluster that config names, after asking it for its
// version: a server that does not answer is better known before the work.
func Connect(ctx context.Context, config *rest.Config) (*Cluster, error) {
	version, err := serverVersion(ctx, config)
	if err != nil {
		return nil, err
	}
	reader, err := kube.Connect(config)
	if err != nil {
		return nil, err
	}
	return &Cluster{Reader: reader, client: reader.Client(), version: version}, nil
}

// Version returns the server's version, as it reports it.
func (c *Cluster) Version() string { return c.version }

// current returns the cluster's version of an object, or nil if there is none.
func (c *Cluster) current(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return c.Get(ctx, obj.GroupVersionKind(), obj.GetNamespace(), obj.GetName())
}

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
		return "", fmt.Errorf(
			"connecting to the cluster at %s: %w: check that the server runs, and that --kubeconfig and --context name the right one",
			config.Host,
			problems.Reason(err),
		)
	}
	return answer.GitVersion, nil
}

// forEach calls do for 0 to n-1, some at a time, and returns the first error.
func forEach(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(Parallel)
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
