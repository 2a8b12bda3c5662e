package check_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/manifests"
)

// world is a cluster with Tekton's and Tekgate's objects in it, and what their
// Pods would do done by the test, since no Pod runs there.
type world struct {
	t       *testing.T
	context context.Context // outlives the subtests
	client  client.Client
	looks   *live.Cluster
	port    int64
	writes  *writes
	config  *rest.Config
	// registry is the host of an empty registry.
	registry string
}

// writes notices requests that would change something.
type writes struct {
	sync.Mutex
	next http.RoundTripper
	seen []string
}

func (w *writes) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.URL.Query().Get("dryRun") != "All" {
		w.Lock()
		w.seen = append(w.seen, r.Method+" "+r.URL.String())
		w.Unlock()
	}
	return w.next.RoundTrip(r)
}

func newWorld(t *testing.T) *world { return newWorldOn(t, cluster.Start(t)) }

func newWorldOn(t *testing.T, c *cluster.Cluster) *world {
	k, err := client.New(c.Config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, context: t.Context(), client: k, writes: &writes{}, config: c.Config}
	watched := rest.CopyConfig(c.Config)
	watched.Wrap(func(next http.RoundTripper) http.RoundTripper {
		w.writes.next = next
		return w.writes
	})
	if w.looks, err = live.Connect(watched); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// cost stands for the mutator's estimate.
func cost(settings string) (int, error) {
	if settings == "wrong" {
		return 0, errors.New("it is wrong")
	}
	return len(settings), nil
}

// run asks everything and returns the outcomes by ID.
func (w *world) run() (map[string]check.Result, bool) {
	w.t.Helper()
	results := map[string]check.Result{}
	rules, err := image.Shorthand("upstream").Compile()
	w.check(err)
	options := check.Options{Now: time.Now(), Parse: func(text []byte) (*check.Configuration, error) {
		if strings.Contains(string(text), "registry.example.com") {
			mirror, err := image.Shorthand("registry.example.com/tekton").Compile()
			return &check.Configuration{Mirror: mirror, Hash: hash}, err
		}
		if strings.Contains(string(text), "nonsense") {
			return nil, io.ErrUnexpectedEOF
		}
		if strings.Contains(string(text), "labelled") {
			return &check.Configuration{Mirror: rules, Hash: hash, SecretLabel: "tekgate.dev/webhook-secret"}, nil
		}
		if strings.Contains(string(text), "newer") {
			return &check.Configuration{Mirror: rules, Hash: "ba9876543210"}, nil
		}
		return &check.Configuration{Mirror: rules, Hash: hash, MostOwn: 100, Own: cost}, nil
	}}
	options.Users = func(_ context.Context, refs []image.Reference, _ []string) ([][]registry.User, []error) {
		users := make([][]registry.User, len(refs))
		for i, ref := range refs {
			users[i] = []registry.User{{Platform: "linux/amd64", Name: "65532"}}
			if strings.Contains(ref.String(), "busybox") {
				users[i][0].Name = "0:0"
			}
		}
		return users, make([]error, len(refs))
	}
	options.Probe = w.probe
	healthy := check.Run(w.context, w.looks, options, func(r check.Result) { results[r.Check.ID] = r })
	if len(results) != len(check.Checks) {
		w.t.Fatalf("%d results of %d checks", len(results), len(check.Checks))
	}
	return results, healthy
}

// probe asks the test's registry for images on it, and takes others for present.
func (w *world) probe(ctx context.Context, refs []image.Reference, platforms []string) []registry.Result {
	results := make([]registry.Result, len(refs))
	for i, ref := range refs {
		results[i].Status = registry.StatusOK
		if ref.Host == w.registry {
			request := registry.ProbeRequest{Images: [][]image.Rewritten{{{From: ref, To: ref}}}, Platforms: platforms}
			results[i] = registry.Probe(ctx, request, registry.Options{Attempts: 1})[0]
		}
	}
	return results
}

// install puts all objects there, and waits for their kinds.
func (w *world) install() {
	var objects []*unstructured.Unstructured
	for _, name := range []string{"pipeline", "triggers", "triggers-interceptors"} {
		release, err := manifests.Tekton(name)
		w.check(err)
		objects = append(objects, release.Objects...)
	}
	own, err := manifests.Tekgate()
	w.check(err)
	objects = append(objects, own...)
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return order(a) - order(b) })
	for _, obj := range objects {
		w.eventually("applying "+kube.Name(obj), func() error {
			return w.client.Apply(
				w.context,
				client.ApplyConfigurationFromUnstructured(obj.DeepCopy()),
				client.FieldOwner("tekgate"),
			)
		})
	}
}

func order(obj *unstructured.Unstructured) int {
	switch obj.GetKind() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	}
	return 2
}

func (w *world) eventually(what string, try func() error) {
	w.t.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	w.t.Fatalf("%s: %v", what, err)
}

func (w *world) get(kind schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	w.t.Helper()
	obj, err := w.looks.Get(w.context, kind, namespace, name)
	if err != nil || obj == nil {
		w.t.Fatalf("%s %s: %v", kind.Kind, name, err)
	}
	return obj
}

// start does what the Pods of Tekton and Tekgate do: they become ready, write
// their caBundles and answer.
func (w *world) start() {
	ctx := w.context
	w.serve()
	for _, server := range []string{"webhook", "interceptor"} {
		authority, err := certs.Load(
			ctx,
			certs.Options{
				Client:    w.client,
				Namespace: live.Tekgate,
				Name:      "tekgate-" + server + "-ca",
				DNSNames:  []string{"x"},
			},
		)
		w.check(err)
		if server == "webhook" {
			_, err = certs.InjectMutating(ctx, w.client, "mutate.tekgate.dev", authority.CABundle())
			w.check(err)
			_, err = certs.InjectValidating(ctx, w.client, "validate.tekgate.dev", authority.CABundle())
			w.check(err)
			continue
		}
		w.publish("tekgate", authority.CABundle())
	}
	for _, name := range []string{"cel", "github", "gitlab", "bitbucket", "slack"} {
		w.publish(name, []byte("a bundle"))
	}
	sink, err := w.looks.SinkImage(ctx)
	w.check(err)
	w.check(w.client.Create(ctx, eventListener(sink)))
	deployments, err := w.looks.In(ctx, live.Deployment, live.Namespaces...)
	w.check(err)
	for _, d := range deployments {
		w.becomes(d, true)
	}
}

func (w *world) publish(name string, bundle []byte) {
	ci := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"clientConfig": map[string]any{
		"caBundle": base64.StdEncoding.EncodeToString(bundle),
		"service":  map[string]any{"name": "s", "namespace": live.Tekgate},
	}}}}
	ci.SetGroupVersionKind(live.ClusterInterceptor)
	ci.SetName(name)
	ci.SetLabels(map[string]string{"server/type": "https"})
	w.check(
		w.client.Apply(
			w.context,
			client.ApplyConfigurationFromUnstructured(ci),
			client.FieldOwner("server"),
			client.ForceOwnership,
		),
	)
}

func (w *world) becomes(deployment *unstructured.Unstructured, ready bool) {
	_, desired := live.Replicas(deployment)
	status := map[string]any{
		"observedGeneration": deployment.GetGeneration(),
		"replicas":           desired,
		"updatedReplicas":    desired,
		"readyReplicas":      desired,
		"availableReplicas":  desired,
	}
	if !ready {
		status = map[string]any{
			"observedGeneration": deployment.GetGeneration(),
			"replicas":           desired,
			"updatedReplicas":    desired,
			"readyReplicas":      int64(0),
			"availableReplicas":  int64(0),
		}
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	w.check(err)
	w.check(
		w.client.Status().Patch(
			w.context,
			deployment.DeepCopy(),
			client.RawPatch("application/merge-patch+json", patch),
		),
	)
}

// serve answers for the webhooks of Tekton and Tekgate, found through their
// Services as in a cluster.
func (w *world) serve() {
	l, err := (&net.ListenConfig{}).Listen(w.context, "tcp", "127.0.0.1:0")
	w.check(err)
	w.port = int64(l.Addr().(*net.TCPAddr).Port)
	services := map[string]string{
		"tekton-pipelines-webhook": live.Pipelines,
		"tekton-triggers-webhook":  live.Pipelines,
		"tekgate-webhook":          live.Tekgate,
	}
	var names []string
	for service, namespace := range services {
		names = append(names, service+"."+namespace+".svc")
		w.edit(schema.GroupVersionKind{Version: "v1", Kind: "Service"}, namespace, service,
			`[{"op":"replace","path":"/spec","value":{"type":"ExternalName","externalName":"localhost"}}]`)
	}
	authority, err := certs.Load(
		w.context,
		certs.Options{Client: w.client, Namespace: live.Tekgate, Name: "tekgate-webhook-ca", DNSNames: names},
	)
	w.check(err)
	server := &http.Server{
		Handler:           http.HandlerFunc(answer),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	server.TLSConfig = tlsConfig(authority)
	go func() { _ = server.ServeTLS(l, "", "") }()
	w.t.Cleanup(func() { server.Close() })
	for _, kind := range []schema.GroupVersionKind{live.Mutating, live.Validating} {
		configurations, err := w.looks.List(w.context, kind)
		w.check(err)
		for _, configuration := range configurations {
			w.register(configuration, authority.CABundle())
		}
	}
}

// register does to a configuration what the server that it belongs to would.
func (w *world) register(configuration *unstructured.Unstructured, bundle []byte) {
	var patch []map[string]any
	for i, hook := range live.Maps(configuration.Object, "webhooks") {
		at := "/webhooks/" + string(rune('0'+i))
		patch = append(
			patch,
			map[string]any{
				"op":    "add",
				"path":  at + "/clientConfig/caBundle",
				"value": base64.StdEncoding.EncodeToString(bundle),
			},
			map[string]any{"op": "add", "path": at + "/clientConfig/service/port", "value": w.port},
		)
		if configuration.GetName() == "webhook.pipeline.tekton.dev" {
			patch = append(
				patch,
				map[string]any{"op": "add", "path": at + "/clientConfig/service/path", "value": "/defaulting"},
			)
		}
		if len(live.Maps(hook, "rules")) == 0 {
			resource := "taskruns"
			if strings.HasPrefix(configuration.GetName(), "config.") {
				resource = "verificationpolicies" // the stand-in judges no ConfigMaps
			}
			patch = append(patch, map[string]any{"op": "add", "path": at + "/rules", "value": []any{map[string]any{
				"apiGroups": []string{
					"tekton.dev",
				}, "apiVersions": []string{"*"}, "resources": []string{resource}, "operations": []string{"CREATE"},
			}}})
		}
	}
	text, err := json.Marshal(patch)
	w.check(err)
	w.check(w.client.Patch(w.context, configuration, client.RawPatch("application/json-patch+json", text)))
}

// hash is what the stand-in calls its configuration.
const hash = "0123456789ab"

// answer mutates as Tekton's and Tekgate's servers do, in the one field that
// each is known by.
func answer(out http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	if review.Request.Name == "slow" {
		time.Sleep(700 * time.Millisecond)
	}
	response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	kind := admissionv1.PatchTypeJSONPatch
	switch {
	case r.URL.Path == "/mutate":
		response.PatchType = &kind
		response.Patch = []byte(
			`[{"op":"add","path":"/metadata/annotations/tekgate.dev~1mutated","value":"{\"rules\":[],\"config\":\"` + hash + `\"}"}]`,
		)
	case strings.HasPrefix(r.URL.Path, "/defaulting"):
		response.PatchType = &kind
		response.Patch = []byte(`[{"op":"add","path":"/spec/serviceAccountName","value":"default"}]`)
	}
	review.Request, review.Response = nil, response
	_ = json.NewEncoder(out).Encode(review)
}

// TestCluster asks about a cluster that is empty, then installed, then running,
// and then broken in one place after the other.
func TestCluster(t *testing.T) {
	w := newWorld(t)

	results, healthy := w.run()
	w.expect(
		results,
		"pipelines-definitions",
		check.Error,
		"CustomResourceDefinition/tasks.tekton.dev does not exist: run `tekgate install`",
	)
	w.expect(results, "pipelines-deployments", check.Skipped, "before pipelines-definitions passes")
	w.expect(results, "tekgate-webhook-deployment", check.Error, "Deployment/tekgate/tekgate-webhook does not exist")
	if healthy {
		t.Error("an empty cluster is called healthy")
	}

	w.install()
	results, _ = w.run()
	w.expect(
		results,
		"pipelines-deployments",
		check.Error,
		"Deployment/tekton-pipelines/tekton-pipelines-controller has 0 of 1 replicas ready: it has no Pods",
	)
	w.expect(
		results,
		"pipelines-webhooks",
		check.Error,
		"has no rules: tekton-pipelines-webhook has not written them yet",
	)
	w.expect(results, "pipelines-answer", check.Skipped, "")
	w.expect(results, "ca-bundles", check.Error, "its caBundle is empty")
	w.expect(results, "cluster-interceptors", check.Error, "")

	w.start()
	results, healthy = w.run()
	for id, r := range results {
		// No Pod runs, see testReplicas, and no cert-manager, see TestIssuedByCertManager. No other
		// component is installed.
		if strings.HasPrefix(id, "components-") && r.Status == check.Skipped {
			continue
		}
		if r.Status != check.Success && id != "configuration-replicas" && id != "certificates-issued" {
			t.Errorf("%s of a running installation is %s: %q", id, r.Status, r.Problems)
		}
	}
	if !healthy {
		t.Error("a running installation is called unhealthy")
	}
	for _, b := range breakages {
		t.Run(b.id+traps[b.id], func(t *testing.T) {
			inner := *w
			inner.t = t
			inner.breakThenMend(b)
			results, _ := inner.run()
			inner.expect(results, b.id, b.status, b.want)
		})
	}
	t.Run("injected-images", func(t *testing.T) { w.testInjectedImages(t) })
	t.Run("hanging-runs", func(t *testing.T) { w.testHangingRuns(t) })
	t.Run("configuration-replicas", func(t *testing.T) { w.testReplicas(t) })
	t.Run("webhook-secrets", func(t *testing.T) { w.testWebhookSecrets(t) })
	t.Run("webhook-latency", func(t *testing.T) { w.testLatency(t) })
	if _, healthy := w.run(); !healthy {
		t.Error("all is mended and still called unhealthy")
	}
	if len(w.writes.seen) > 0 {
		t.Errorf("checking wrote:\n%s", strings.Join(w.writes.seen, "\n"))
	}
}

// testWebhookSecrets has triggers whose Secrets are labelled, not labelled, or absent.
func (w *world) testWebhookSecrets(t *testing.T) {
	inner := *w
	inner.t = t
	inner.breakThenMend(breakage{kind: live.ConfigMap, namespace: live.Tekgate, name: "tekgate-config",
		patch: `[{"op":"replace","path":"/data/config.yaml","value":"labelled"}]`})
	for _, name := range []string{"labelled", "bare", "inline", "grouped", "of-another"} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		if name == "labelled" {
			secret.Labels = map[string]string{"tekgate.dev/webhook-secret": ""}
		}
		inner.createNew(secret)
	}
	const of = `[{"ref":{"name":"%s"},"params":[{"name":"secretRef%s","value":%s}]}]`
	interceptors := func(ref, list, value string) (out []any) {
		inner.check(json.Unmarshal(fmt.Appendf(nil, of, ref, list, value), &out))
		return out
	}
	template := map[string]any{"ref": "t"}
	inner.createNew(triggersObject("Trigger", "listed", map[string]any{"template": template,
		"interceptors": interceptors("tekgate", "s",
			`[{"secretName":"labelled"},{"secretName":"bare"},{"secretName":"absent"}]`)}))
	inner.createNew(triggersObject("Trigger", "another", map[string]any{"template": template,
		"interceptors": interceptors("github", "", `{"secretName":"of-another"}`)}))
	inner.createNew(triggersObject("EventListener", "listener", map[string]any{
		"triggers": []any{map[string]any{"template": template,
			"interceptors": interceptors("tekgate", "", `{"secretName":"inline"}`)}},
		"triggerGroups": []any{map[string]any{"name": "g",
			"interceptors": interceptors("tekgate", "", `{"secretName":"grouped"}`),
			"triggerSelector": map[string]any{
				"labelSelector": map[string]any{"matchLabels": map[string]any{"a": "b"}}}}},
	}))
	results, healthy := inner.run()
	inner.expect(results, "webhook-secrets", check.Warning, "Secret/default/bare of Trigger/default/listed lacks the label "+
		"tekgate.dev/webhook-secret: run `kubectl -n default label --overwrite secret bare tekgate.dev/webhook-secret=true`")
	if said := results["webhook-secrets"].Problems; len(said) != 3 || !healthy {
		t.Errorf("want three warnings, about bare, inline and grouped: %q", said)
	}
}

func (w *world) createNew(obj client.Object) {
	w.t.Helper()
	w.check(w.client.Create(w.context, obj))
}

func triggersObject(kind, name string, spec map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetAPIVersion("triggers.tekton.dev/v1beta1")
	obj.SetKind(kind)
	obj.SetNamespace("default")
	obj.SetName(name)
	return obj
}

// testReplicas asks two Pods that the API server finds at this machine, one of them
// with another configuration than the one that is there.
func (w *world) testReplicas(t *testing.T) {
	address := outward(t)
	inner := *w
	inner.t = t
	results, _ := inner.run()
	inner.expect(results, "configuration-replicas", check.Skipped, "no Pod of the admission server runs")
	ip, port := inner.metrics(address, `tekgate_config_info{hash="`+hash+`"} 1`)
	inner.replica("current", ip, port)
	results, _ = inner.run()
	inner.expect(results, "configuration-replicas", check.Success, "")
	ip, port = inner.metrics(address, `tekgate_config_info{hash="aaaaaaaaaaaa"} 1`)
	inner.replica("behind", ip, port)
	results, _ = inner.run()
	inner.expect(
		results,
		"configuration-replicas",
		check.Warning,
		"Pod/tekgate/behind uses the configuration aaaaaaaaaaaa, and ConfigMap/tekgate/tekgate-config holds "+hash,
	)
	if text := strings.Join(results["configuration-replicas"].Problems, "\n"); strings.Contains(text, "current") {
		t.Errorf("the replica that is right is told of: %s", text)
	}
}

// outward is an address of this machine that is not loopback, which an API server
// does not connect to for anybody.
func outward(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback, and the API server connects to no Pod there")
	return ""
}

// metrics serves a text as a replica's metrics.
func (w *world) metrics(address, text string) (ip string, port int64) {
	w.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(w.context, "tcp", net.JoinHostPort(address, "0"))
	w.check(err)
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(out, "# TYPE tekgate_config_info gauge\n"+text+"\n")
		}),
	}
	go func() { _ = server.Serve(l) }()
	w.t.Cleanup(func() { server.Close() })
	return address, int64(l.Addr().(*net.TCPAddr).Port)
}

// replica makes a Pod of the admission server that runs at an address.
func (w *world) replica(name, ip string, port int64) {
	w.t.Helper()
	deployment := w.get(live.Deployment, live.Tekgate, "tekgate-webhook")
	template, _, _ := unstructured.NestedMap(deployment.Object, "spec", "template")
	pod := &unstructured.Unstructured{Object: template}
	pod.SetGroupVersionKind(live.Pod)
	pod.SetNamespace(live.Tekgate)
	pod.SetName(name)
	containers := live.Maps(pod.Object, "spec", "containers")
	containers[0]["ports"] = []any{map[string]any{"name": "metrics", "containerPort": port}}
	w.check(unstructured.SetNestedSlice(pod.Object, []any{containers[0]}, "spec", "containers"))
	w.check(w.client.Create(w.context, pod))
	patch := fmt.Sprintf(`{"status":{"phase":"Running","podIP":%q,"podIPs":[{"ip":%[1]q}]}}`, ip)
	w.check(w.client.Status().Patch(w.context, pod, client.RawPatch("application/merge-patch+json", []byte(patch))))
	w.t.Cleanup(func() { w.check(w.client.Delete(w.context, pod, client.GracePeriodSeconds(0))) })
}

// testLatency makes the stand-in slow for some calls, which the API server measures
// for as long as it runs; and asks as somebody who may not read that.
func (w *world) testLatency(t *testing.T) {
	inner := *w
	inner.t = t
	for range 4 {
		run := &unstructured.Unstructured{
			Object: map[string]any{"spec": map[string]any{"taskRef": map[string]any{"name": "x"}}},
		}
		run.SetGroupVersionKind(live.TaskRun.WithVersion("v1"))
		run.SetNamespace("default")
		run.SetName("slow")
		run.SetAnnotations(map[string]string{"a": "b"}) // the stand-in adds to them
		inner.check(w.client.Create(w.context, run, client.DryRunAll))
	}
	results, healthy := inner.run()
	inner.expect(results, "webhook-latency", check.Warning, "webhook taskruns.mutate.tekgate.dev: of ")
	inner.expect(results, "webhook-latency", check.Warning, " calls 4 took longer than 500ms, ")
	if !healthy {
		t.Error("a slow webhook makes the installation fail")
	}
	nobody := rest.CopyConfig(w.config)
	nobody.Impersonate.UserName = "nobody"
	var err error
	inner.looks, err = live.Connect(nobody)
	inner.check(err)
	results, _ = inner.run()
	inner.expect(results, "webhook-latency", check.Skipped, "you may not read the API server's /metrics")
}

func (w *world) expect(results map[string]check.Result, id string, status check.Status, want string) {
	w.t.Helper()
	r, found := results[id]
	if text := strings.Join(r.Problems, "\n"); !found || r.Status != status || !strings.Contains(text, want) {
		w.t.Errorf("%s is %q with %q, want %s with %q", id, r.Status, text, status, want)
	}
}
