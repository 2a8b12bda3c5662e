package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// bed is a server of ours beside a real API server that has Tekton's kinds.
type bed struct {
	*testing.T
	cluster    *cluster.Cluster
	client     client.Client
	kubeconfig string
	address    string // of our server
	config     string // the file of its configuration
	server     *servers.Replica
	logs       *child.Log
}

// newBed starts an API server and ours, without any webhook configuration.
func newBed(t *testing.T) *bed {
	t.Helper()
	b := newCluster(t)
	b.start()
	return b
}

// newCluster starts an API server that knows Tekton's kinds and what the server is
// allowed.
func newCluster(t *testing.T) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	real := cluster.StartEmpty(t)
	config := rest.CopyConfig(real.Config)
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{T: t, cluster: real, client: c, address: freeAddress(t), logs: &child.Log{}}
	b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-taskrun.yaml")
	b.installCRDs("github.com/tektoncd/triggers", "config/300-*.yaml")
	for _, namespace := range []string{"tekgate", "tekton-pipelines", "ci", "other"} {
		b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	if b.kubeconfig, err = servers.Limit(t.Context(), real, c, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return b
}

// configuredBuilder is the configuration that the server starts with.
const configuredBuilder = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmutator: {serviceAccount: {name: builder}}\n" +
	"validator: {rules: {dangling-reference: {mode: enforce}}}\n"

// testOverlap is how long a new CA is in the webhook configurations before it signs.
const testOverlap = 3 * time.Second

// start starts the server in a process of its own, so that tests that run side by side do
// not share its metrics.
func (b *bed) start() {
	b.Helper()
	b.config = write(b.T, b.TempDir(), "config.yaml", configuredBuilder)
	server, err := servers.Start(b.Context(), servers.Options{
		Program: programOf(b.T), Kubeconfig: b.kubeconfig, Config: b.config,
		Args: []string{"--drain", "3s", "--recheck", "300ms", "--ca-overlap", testOverlap.String()},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Kill)
	b.server, b.address, b.logs = server, server.Address, server.Logs
}

// stop sends the server the first signal.
func (b *bed) stop() {
	b.Helper()
	if err := b.server.Terminate(); err != nil {
		b.Fatal(err)
	}
}

// stops waits until the server has ended without an error.
func (b *bed) stops() {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	if err := b.server.Ended(ctx); err != nil {
		b.Errorf("the server ends with %v", err)
	}
}

// metric is the sum of the server's series whose text begins so.
func (b *bed) metric(prefix string) float64 {
	b.Helper()
	sum, err := b.server.Metric(b.Context(), prefix)
	if err != nil {
		b.Fatal(err)
	}
	return sum
}

// requests returns how often the server was asked at a path, once that has stopped changing: a
// request is counted after it was answered.
func (b *bed) requests(path string) float64 {
	b.Helper()
	read := func() float64 {
		return b.metric(`tekgate_webhook_request_duration_seconds_count{path="` + path + `"}`)
	}
	count := read()
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		now := read()
		if now == count {
			break
		}
		count = now
	}
	return count
}

func (b *bed) installCRDs(module string, patterns ...string) {
	b.Helper()
	if err := cluster.InstallCRDs(b.Context(), b.client, module, patterns...); err != nil {
		b.Fatal(err)
	}
}

// configure applies the configurations that are installed.
func (b *bed) configure() {
	b.Helper()
	configurations, err := servers.Configurations(b.address)
	if err != nil {
		b.Fatal(err)
	}
	for _, configuration := range configurations {
		if err := servers.Register(b.Context(), b.client, configuration); err != nil {
			b.Fatalf("%v; the server's log:\n%s", err, b.logs)
		}
	}
	b.eventually("the API server asks the server", func() error {
		run := b.parse(kaniko("probe", "v1"))
		if err := b.client.Create(b.Context(), run, client.DryRunAll); err != nil {
			return err
		}
		if environment(run) == "" {
			return fmt.Errorf("not mutated")
		}
		return nil
	})
}

// second installs a mutating webhook of another party.
func (b *bed) second(name string) {
	b.Helper()
	server := httptest.NewTLSServer(&admit.Webhook{Handler: admission.HandlerFunc(likeTekton)})
	b.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	configuration := b.parse(fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: %s}
webhooks:
- name: taskruns.%[1]s
  admissionReviewVersions: [v1]
  sideEffects: None
  reinvocationPolicy: IfNeeded
  rules: [{apiGroups: [tekton.dev], apiVersions: ["*"], resources: [taskruns], operations: [CREATE]}]
  clientConfig: {url: %s}
`, name, server.URL))
	configuration.Object["webhooks"].([]any)[0].(map[string]any)["clientConfig"].(map[string]any)["caBundle"] = ca64(ca)
	b.create(configuration)
	b.Cleanup(func() { // before its server closes
		if err := b.client.Delete(context.Background(), configuration); err != nil {
			b.Error(err)
		}
	})
	b.eventually(name+" is asked", func() error {
		run := b.parse(kaniko("probe", "v1"))
		if err := b.client.Create(b.Context(), run, client.DryRunAll); err != nil {
			return err
		}
		if run.GetLabels()["seen"] == "" {
			return fmt.Errorf("not labelled")
		}
		return nil
	})
}

// likeTekton names the default ServiceAccount where none is named, and labels.
func likeTekton(_ context.Context, req admission.Request) admission.Response {
	var run unstructured.Unstructured
	if err := json.Unmarshal(req.Object.Raw, &run.Object); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	var patch []jsonpatch.Operation
	if accountOf(&run) == "" {
		patch = append(patch, jsonpatch.NewOperation("add", "/spec/serviceAccountName", "default"))
	}
	if run.GetLabels() == nil {
		patch = append(patch, jsonpatch.NewOperation("add", "/metadata/labels", map[string]string{"seen": "yes"}))
	}
	return admission.Patched("", patch...)
}

func (b *bed) parse(text string) *unstructured.Unstructured {
	b.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		b.Fatal(err)
	}
	return object
}

func (b *bed) create(object client.Object, options ...client.CreateOption) {
	b.Helper()
	if err := b.client.Create(b.Context(), object, options...); err != nil {
		b.Fatalf("creating %s: %v", object.GetName(), err)
	}
}

func (b *bed) get(object client.Object) {
	b.Helper()
	if err := b.client.Get(b.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		b.Fatalf("reading %s: %v", object.GetName(), err)
	}
}

// eventually waits for what others have to do first.
func (b *bed) eventually(what string, try func() error) {
	b.Helper()
	var err error
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	b.Fatalf("waiting until %s: %v; the server's log:\n%s", what, err, b.logs)
}

// https returns a client that trusts the CA in the server's Secret alone.
func (b *bed) https() *http.Client {
	b.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: wellknown.WebhookCA}}
	b.get(secret)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(secret.Data[corev1.TLSCertKey])
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := child.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}
