// Package live reads what an installation looks like in its cluster.
//
// Health checks and the status report see the same cluster through it, so that
// they never disagree about what is there. It cannot change anything: every
// write that goes through its client is a dry run. What is not there, and what
// is of a kind that the cluster does not serve, is absent and no error, because
// an installation that is half there is what its readers are for.
package live

import (
	"context"
	"fmt"
	"slices"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// The namespaces that an installation has.
const (
	Pipelines = wellknown.PipelinesNamespace
	Resolvers = wellknown.ResolversNamespace
	Tekgate   = wellknown.TekgateNamespace
)

// Namespaces are all of them.
var Namespaces = []string{Pipelines, Resolvers, Tekgate}

// ComponentNamespaces are those that other components of Tekton may have of their own.
var ComponentNamespaces = []string{"tekton-chains", "tekton-dashboard"}

// The kinds that are read.
var (
	Deployment  = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	StatefulSet = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}
	Pod         = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	Secret      = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	Namespace   = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	ConfigMap   = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	Definition  = schema.GroupVersionKind{
		Group:   "apiextensions.k8s.io",
		Version: "v1",
		Kind:    "CustomResourceDefinition",
	}
	Mutating = schema.GroupVersionKind{
		Group:   "admissionregistration.k8s.io",
		Version: "v1",
		Kind:    "MutatingWebhookConfiguration",
	}
	Validating = schema.GroupVersionKind{
		Group:   "admissionregistration.k8s.io",
		Version: "v1",
		Kind:    "ValidatingWebhookConfiguration",
	}
	ClusterInterceptor = schema.GroupVersionKind{
		Group:   "triggers.tekton.dev",
		Version: "v1alpha1",
		Kind:    "ClusterInterceptor",
	}
	Certificate = schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"}
	TaskRun     = schema.GroupKind{Group: "tekton.dev", Kind: "TaskRun"}

	// SecurityContextConstraints are OpenShift's. They give containers without a user one.
	SecurityContextConstraints = schema.GroupVersionKind{
		Group: "security.openshift.io", Version: "v1", Kind: "SecurityContextConstraints",
	}
)

// Cluster is a cluster that is only read. Writes through its client are dry runs.
type Cluster struct {
	kube.Reader
	discovery *discovery.DiscoveryClient
}

// Connect prepares to look at the cluster that config names. Nothing is sent
// yet but what it takes to know which kinds are served.
func Connect(config *rest.Config) (*Cluster, error) {
	d, err := discovery.NewDiscoveryClientForConfig(kube.Unthrottled(config))
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	c, err := kube.Client(config, certmanager.AddToScheme)
	if err != nil {
		return nil, err
	}
	return &Cluster{Reader: kube.NewReader(client.NewDryRunClient(c)), discovery: d}, nil
}

// Version asks the server for its version.
func (c *Cluster) Version() (*version.Info, error) { return c.discovery.ServerVersion() }

// Raw returns what the server says at a path, such as /metrics.
func (c *Cluster) Raw(ctx context.Context, path string) ([]byte, error) {
	return c.discovery.RESTClient().Get().AbsPath(path).DoRaw(ctx)
}

// Try asks the server to create obj without keeping it, and leaves in obj what
// the server and its webhooks would have made of it.
func (c *Cluster) Try(ctx context.Context, obj *unstructured.Unstructured) error {
	return c.Client().Create(ctx, obj)
}

// In returns the objects of a kind in the given namespaces.
func (c *Cluster) In(
	ctx context.Context,
	kind schema.GroupVersionKind,
	namespaces ...string,
) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, namespace := range namespaces {
		objects, err := c.List(ctx, kind, client.InNamespace(namespace))
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

// EventListeners returns the Deployments that Triggers' controller has made for
// EventListeners, in all namespaces.
func (c *Cluster) EventListeners(ctx context.Context) ([]*unstructured.Unstructured, error) {
	return c.List(ctx, Deployment, client.MatchingLabels{"app.kubernetes.io/managed-by": "EventListener"})
}

// SinkImage returns the image that Triggers' controller gives to the
// EventListeners that it makes now; empty where there is no controller.
func (c *Cluster) SinkImage(ctx context.Context) (string, error) {
	controller, err := c.Get(ctx, Deployment, Pipelines, "tekton-triggers-controller")
	if controller == nil {
		return "", err
	}
	for _, container := range Containers(controller) {
		if value, found := flagValue(container, "el-image"); found {
			return value, nil
		}
	}
	return "", nil
}

// Platforms counts nodes by platform, such as linux/arm64.
func Platforms(nodes []*unstructured.Unstructured) map[string]int {
	count := map[string]int{}
	for _, node := range nodes {
		os := Text(node.Object, "status", "nodeInfo", "operatingSystem")
		arch := Text(node.Object, "status", "nodeInfo", "architecture")
		if os != "" && arch != "" {
			count[os+"/"+arch]++
		}
	}
	return count
}

// Containers returns the containers of a workload's Pods.
func Containers(workload *unstructured.Unstructured) []map[string]any {
	path := []string{"spec", "template", "spec", "containers"}
	if workload.GetKind() == "Pod" {
		path = []string{"spec", "containers"}
	}
	return Maps(workload.Object, path...)
}

// Data returns the data of a ConfigMap.
func Data(configMap *unstructured.Unstructured) map[string]string {
	data, _, _ := unstructured.NestedStringMap(configMap.Object, "data")
	return data
}

// Text returns a string field of an object, or "" if there is none.
func Text(fields map[string]any, path ...string) string {
	value, _, _ := unstructured.NestedString(fields, path...)
	return value
}

// Maps returns the maps of a list in an object; none where there is no such list.
func Maps(obj map[string]any, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(obj, path...)
	maps := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			maps = append(maps, m)
		}
	}
	return maps
}

// flagValue returns the value that follows a flag in a container's arguments.
func flagValue(container map[string]any, flag string) (string, bool) {
	args, _, _ := unstructured.NestedStringSlice(container, "args")
	i := slices.IndexFunc(args, func(arg string) bool { return arg == "-"+flag || arg == "--"+flag })
	if i < 0 || i+1 == len(args) {
		return "", false
	}
	return args[i+1], true
}

// Replicas returns how many replicas of a Deployment are ready in its newest
// form, and how many are wanted.
func Replicas(deployment *unstructured.Unstructured) (ready, desired int64) {
	desired, found, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas")
	if !found {
		desired = 1
	}
	ready, _, _ = unstructured.NestedInt64(deployment.Object, "status", "readyReplicas")
	updated, _, _ := unstructured.NestedInt64(deployment.Object, "status", "updatedReplicas")
	observed, _, _ := unstructured.NestedInt64(deployment.Object, "status", "observedGeneration")
	if observed < deployment.GetGeneration() {
		return 0, desired
	}
	return min(ready, updated), desired
}
