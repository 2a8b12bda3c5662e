package installer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// target is a real API server to install on.
type target struct {
	*installer.Cluster
	t      testing.TB
	config *rest.Config
}

// servers are shared by the tests: start gives each an empty one.
var servers = cluster.NewPool()

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

func start(t testing.TB) *target {
	t.Helper()
	return connectTo(t, servers.Start(t).Config)
}

func connectTo(t testing.TB, config *rest.Config) *target {
	t.Helper()
	connected, err := installer.Connect(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return &target{Cluster: connected, t: t, config: config}
}

// silent hears nothing.
type silent struct{}

func (silent) Stage(int, int, installer.Stage) {}
func (silent) Changed(ssa.ChangeSetEntry)      {}
func (silent) Waiting(string)                  {}

// often is the interval at which tests look whether something is ready.
const often = 25 * time.Millisecond

var atOnce = installer.Options{Timeout: time.Minute}

func (c *target) plan(rel installer.Release, options installer.Options) (*installer.Plan, error) {
	return c.Plan(c.t.Context(), rel, options)
}

// install plans and applies, and fails the test where that fails.
func (c *target) install(rel installer.Release, options installer.Options) (*installer.Plan, *ssa.ChangeSet) {
	c.t.Helper()
	options.Interval = often
	plan, err := c.plan(rel, options)
	if err != nil {
		c.t.Fatal(err)
	}
	done, err := c.Apply(c.t.Context(), plan, options, silent{})
	if err != nil {
		c.t.Fatal(err)
	}
	return plan, done
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

// get returns a live object, nil where there is none.
func (c *target) get(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	c.t.Helper()
	obj := object(apiVersion, kind, namespace, name)
	err := c.Client().Get(c.t.Context(), client.ObjectKeyFromObject(obj), obj)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return obj
}

// field returns a field of a live object; the path is separated by slashes.
func (c *target) field(apiVersion, kind, namespace, name, path string) any {
	c.t.Helper()
	obj := c.get(apiVersion, kind, namespace, name)
	if obj == nil {
		c.t.Fatalf("there is no %s %s/%s", kind, namespace, name)
		return nil
	}
	value, _, _ := unstructured.NestedFieldNoCopy(obj.Object, strings.Split(path, "/")...)
	return value
}

// data returns the data of a live ConfigMap.
func (c *target) data(namespace, name string) map[string]string {
	c.t.Helper()
	data := map[string]string{}
	values, _ := c.field("v1", "ConfigMap", namespace, name, "data").(map[string]any)
	for key, value := range values {
		data[key] = fmt.Sprint(value)
	}
	return data
}

// merge changes an object as a person does with kubectl.
func (c *target) merge(manager, apiVersion, kind, namespace, name, patch string) {
	c.t.Helper()
	err := c.Client().Patch(
		c.t.Context(),
		object(apiVersion, kind, namespace, name),
		client.RawPatch(types.MergePatchType, []byte(patch)),
		client.FieldOwner(manager),
	)
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *target) edit(configMap, patch string) {
	c.t.Helper()
	c.merge("kubectl-edit", "v1", "ConfigMap", "tekton-pipelines", configMap, `{"data":`+patch+`}`)
}

func (c *target) create(manager, yaml string) {
	c.t.Helper()
	for _, obj := range parse(c.t, yaml) {
		if err := c.Client().Create(c.t.Context(), obj, client.FieldOwner(manager)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func parse(t testing.TB, yaml string) []*unstructured.Unstructured {
	t.Helper()
	objs, err := release.Read(strings.NewReader(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

const mirrorHost = "registry.example.com"

// rendered is a release with its images on a mirror.
func rendered(t testing.TB, objs []*unstructured.Unstructured) installer.Release {
	t.Helper()
	mirror, err := image.Shorthand(mirrorHost + "/tekton").Compile()
	if err != nil {
		t.Fatal(err)
	}
	images, err := manifest.Rewrite(objs, mirror)
	if err != nil {
		t.Fatal(err)
	}
	versions := installer.VersionsOf(objs)
	return installer.Release{Objects: objs, Images: images, Versions: versions}
}

// assembled returns a release of Tekton from its modules, with Tekgate's own
// objects.
func assembled(t testing.TB, pipeline, triggers string) installer.Release {
	t.Helper()
	versions := map[string]string{"github.com/tektoncd/pipeline": pipeline, "github.com/tektoncd/triggers": triggers}
	own, err := manifests.Tekgate()
	if err != nil {
		t.Fatal(err)
	}
	var objs []*unstructured.Unstructured
	for _, m := range release.Manifests {
		module := fetch(t, m.Module, versions[m.Module])
		read, err := m.Assemble(os.DirFS(module.Dir), module.Version, image.PublishedName)
		if err != nil {
			t.Fatal(err)
		}
		objs = append(objs, read...)
	}
	return rendered(t, append(objs, own...))
}

// unlisted are the checksums of modules that the public checksum database has
// no entry for; they take its place here.
var unlisted = map[string]string{
	"github.com/tektoncd/triggers@v0.29.0": "h1:piRTJT1Sjq3xmGnR50V54oG0NlsszKETLxdCGhgSNQQ=",
}

// fetching guards the environment, which decides about checksums.
var fetching sync.Mutex

func fetch(t testing.TB, path, version string) release.Module {
	t.Helper()
	fetching.Lock()
	defer fetching.Unlock()
	sum := unlisted[path+"@"+version]
	if sum != "" {
		os.Setenv("GONOSUMDB", path) //nolint:usetesting // tests run in parallel
		defer os.Unsetenv("GONOSUMDB")
	}
	module, err := release.Fetch(t.Context(), path, version)
	if err != nil {
		t.Fatal(err)
	}
	if sum != "" && module.Sum != sum {
		t.Fatalf("%s %s has checksum %s, want %s", path, version, module.Sum, sum)
	}
	return module
}

// embedded returns the release in the binary, with Tekgate's own objects.
func embedded(t testing.TB) installer.Release {
	t.Helper()
	objs, err := manifests.Tekgate()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range release.Manifests {
		r, err := manifests.Tekton(m.Name)
		if err != nil {
			t.Fatal(err)
		}
		objs = append(objs, r.Objects...)
	}
	return rendered(t, objs)
}

// node plays the kubelet, the controller manager and the servers that would
// run: it says of every Deployment that its Pods run, gives every webhook
// configuration and interceptor a caBundle, and answers for Tekgate's admission
// server. Everything goes through the real API server.
type node struct {
	target *target
	// broken are Deployments that never come up, and webhook configurations by which
	// the API server asks nobody, by name.
	broken map[string]bool
	server *httptest.Server // Tekgate's admission server
	stop   context.CancelFunc
	gone   sync.WaitGroup
}

func (c *target) node(broken ...string) *node {
	ctx, stop := context.WithCancel(context.Background())
	n := &node{target: c, broken: map[string]bool{}, stop: stop, server: reviews(answerForTekgate)}
	for _, b := range broken {
		n.broken[b] = true
	}
	n.gone.Go(func() {
		for ctx.Err() == nil {
			n.round(ctx)
			time.Sleep(50 * time.Millisecond)
		}
	})
	c.t.Cleanup(n.end)
	return n
}

func (n *node) end() {
	n.stop()
	n.gone.Wait()
	n.server.Close()
}

func (n *node) list(ctx context.Context, gvk schema.GroupVersionKind) []unstructured.Unstructured {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk)
	// What is not served yet comes in a later round.
	_ = n.target.Client().List(ctx, list)
	return list.Items
}

func (n *node) round(ctx context.Context) {
	for _, d := range n.list(ctx, schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "DeploymentList"}) {
		observed, _, _ := unstructured.NestedInt64(d.Object, "status", "observedGeneration")
		if observed == d.GetGeneration() || n.broken[d.GetName()] {
			continue
		}
		replicas, _, _ := unstructured.NestedInt64(d.Object, "spec", "replicas")
		patch := fmt.Sprintf(
			`{"status":{"observedGeneration":%d,"replicas":%[2]d,"updatedReplicas":%[2]d,"readyReplicas":%[2]d,"availableReplicas":%[2]d,
			"conditions":[{"type":"Available","status":"True"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}}`,
			d.GetGeneration(),
			replicas,
		)
		_ = n.target.Client().Status().Patch(
			ctx,
			&d,
			client.RawPatch(types.MergePatchType, []byte(patch)),
			client.FieldOwner("kube-controller-manager"),
		)
	}
	for _, kind := range []string{"MutatingWebhookConfigurationList", "ValidatingWebhookConfigurationList"} {
		configurations := schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: kind}
		for _, w := range n.list(ctx, configurations) {
			n.bundle(ctx, &w)
			n.asks(ctx, &w)
		}
	}
	for _, i := range n.list(ctx, live.ClusterInterceptor) {
		if _, has, _ := unstructured.NestedString(i.Object, "spec", "clientConfig", "caBundle"); !has {
			_ = n.target.Client().Patch(
				ctx,
				&i,
				client.RawPatch(types.MergePatchType, []byte(`{"spec":{"clientConfig":{"caBundle":"`+authority+`"}}}`)),
				client.FieldOwner("interceptors"),
			)
		}
	}
}

// authority is a caBundle that the server accepts.
var authority = "Cg=="

func (n *node) bundle(ctx context.Context, configuration *unstructured.Unstructured) {
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	var patch []map[string]any
	for i, w := range webhooks {
		if bundle, _, _ := unstructured.NestedString(w.(map[string]any), "clientConfig", "caBundle"); bundle == "" {
			patch = append(
				patch,
				map[string]any{
					"op":    "add",
					"path":  fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i),
					"value": authority,
				},
			)
		}
	}
	if len(patch) == 0 {
		return
	}
	text, _ := json.Marshal(patch)
	_ = n.target.Client().Patch(
		ctx,
		configuration,
		client.RawPatch(types.JSONPatchType, text),
		client.FieldOwner("webhook"),
	)
}

// everything returns all objects of the server by identity, without what two
// runs that do the same write differently. With versions it keeps the resource
// versions, so that equal results mean that nothing was written.
func (c *target) everything(versions bool) map[string]string {
	c.t.Helper()
	d := discovery.NewDiscoveryClientForConfigOrDie(c.config)
	lists, err := d.ServerPreferredResources()
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string]string{}
	for _, list := range lists {
		gv, _ := schema.ParseGroupVersion(list.GroupVersion)
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") ||
				slices.Contains(
					[]string{"leases", "events", "componentstatuses", "apiservices", "ipaddresses"},
					r.Name,
				) {
				continue
			}
			found := &unstructured.UnstructuredList{}
			found.SetGroupVersionKind(gv.WithKind(r.Kind + "List"))
			if err := c.Client().List(c.t.Context(), found); err != nil {
				c.t.Fatal(err)
			}
			for i := range found.Items {
				obj := &found.Items[i]
				// The server's own.
				if obj.GetNamespace() == "kube-system" ||
					obj.GetNamespace() == "default" && obj.GetName() == "kubernetes" {
					continue
				}
				all[gv.Group+" "+obj.GetKind()+" "+obj.GetNamespace()+"/"+obj.GetName()] = essence(obj, versions)
			}
		}
	}
	return all
}

func essence(obj *unstructured.Unstructured, versions bool) string {
	if versions {
		return obj.GetResourceVersion()
	}
	fields := obj.GetManagedFields()
	for i := range fields {
		fields[i].Time = nil
	}
	slices.SortFunc(fields, func(a, b metav1.ManagedFieldsEntry) int {
		return strings.Compare(a.Manager+string(a.Operation)+a.Subresource, b.Manager+string(b.Operation)+b.Subresource)
	})
	owned, _ := json.Marshal(fields)
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(obj.Object, "status")
	unstructured.RemoveNestedField(obj.Object, "spec", "clusterIP")
	unstructured.RemoveNestedField(obj.Object, "spec", "clusterIPs")
	if obj.GetName() == installer.InventoryName {
		return "" // it holds the time; compared by itself
	}
	text, _ := json.Marshal(obj.Object)
	return string(text) + string(owned)
}

// unlike lists the objects that two clusters, or two moments, do not share.
func unlike(a, b map[string]string) []string {
	var names []string
	for name, text := range a {
		if other, ok := b[name]; !ok || other != text {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
