package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/interceptor/secrets"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// TestOnAPIServer shares one API server between the tests that need one. It has
// no Triggers at first, as in a cluster where this server is installed before.
func TestOnAPIServer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	api := cluster.Start(t)
	c, err := client.NewWithWatch(api.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tekgate"}})
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: wellknown.DeliveriesNamespace}})
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ci"}})
	create(t, c, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "hook"},
		StringData: map[string]string{"token": "It's a Secret to Everybody\n"},
	})
	authority, err := certs.Load(t.Context(), certs.Options{Client: c, Namespace: "tekgate",
		Name: "tekgate-interceptor-ca", DNSNames: certs.ServiceNames("tekgate-interceptor", "tekgate")})
	if err != nil {
		t.Fatal(err)
	}
	to, err := options{namespace: "tekgate", service: "tekgate-interceptor"}.target()
	if err != nil {
		t.Fatal(err)
	}
	p := publisher{client: c, want: to.clusterInterceptor(authority.CABundle()), log: logr.Discard()}

	t.Run("the whole program", func(t *testing.T) { testProgram(t, api, c) })
	t.Run("Trap25 one write creates it with its label and CA", func(t *testing.T) { testOneWrite(t, c, p) })
	t.Run("nothing is written when equal", func(t *testing.T) { testEqual(t, c, p) })
	t.Run("drift is repaired", func(t *testing.T) { testRepair(t, c, p) })
	t.Run("from a url to the Service", func(t *testing.T) { testSwitch(t, c, p) })
	t.Run("rights", func(t *testing.T) { testRights(t, api.Config, c, p) })
	t.Run("configuration", func(t *testing.T) { testConfiguration(t, api, c) })
	t.Run("a CA that expires", func(t *testing.T) { testExpiring(t, c) })
}

func create(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// eventually tries until f returns nil, or fails with its last error.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	const patience = 3 * time.Minute
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// get returns the ClusterInterceptor.
func get(t *testing.T, c client.Client, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(want.GroupVersionKind())
	return live, c.Get(t.Context(), client.ObjectKey{Name: "tekgate"}, live)
}

func mustGet(t *testing.T, c client.Client, want *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	live, err := get(t, c, want)
	if err != nil {
		t.Fatal(err)
	}
	return live
}

// installTriggers creates the CRDs of ClusterInterceptors, Triggers and EventListeners as
// Triggers has them.
func installTriggers(t *testing.T, c client.Client) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/tektoncd/triggers").Output()
	if err != nil {
		t.Fatalf("finding the module of Triggers: %v", err)
	}
	for _, kind := range []string{"trigger", "eventlistener", "clusterinterceptor"} {
		applyFile(t, c, filepath.Join(strings.TrimSpace(string(dir)), "config", "300-"+kind+".yaml"))
	}
}

// createTriggers creates the Triggers of askExample.
func createTriggers(t *testing.T, c client.Client) {
	t.Helper()
	for _, namespace := range []string{"ci", "default"} {
		trigger := triggersObject("Trigger")
		trigger.SetNamespace(namespace)
		trigger.SetName("build")
		trigger.Object["spec"] = map[string]any{
			"template": map[string]any{"ref": "build"},
			"interceptors": []any{map[string]any{
				"ref": map[string]any{"name": "tekgate"},
				"params": []any{
					map[string]any{"name": "provider", "value": "github"},
					map[string]any{"name": "secretRef",
						"value": map[string]any{"secretName": "hook", "secretKey": "token"}},
				},
			}},
		}
		eventually(t, func() error { return c.Create(t.Context(), trigger.DeepCopy()) }) // once its kind is served
	}
}

func applyFile(t *testing.T, c client.Client, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u),
			client.FieldOwner("test")); err != nil {
			t.Fatal(err)
		}
	}
}

// program is the server as main starts it, and its log.
type program struct {
	cancel context.CancelFunc
	done   chan error
	child.Log
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- run(ctx, args, io.Discard, p) }()
	t.Cleanup(cancel)
	return p
}

// address waits for the log line with msg and returns its address.
func (p *program) address(t *testing.T, msg string) (address string) {
	t.Helper()
	eventually(t, func() error {
		for lines := bufio.NewScanner(strings.NewReader(p.String())); lines.Scan(); {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == msg {
				address = line.Address
				return nil
			}
		}
		select {
		case err := <-p.done:
			t.Fatalf("the program ended: %v\n%s", err, p.String())
		default:
		}
		return fmt.Errorf("the log has no line %q:\n%s", msg, p.String())
	})
	return address
}

func testProgram(t *testing.T, api *cluster.Cluster, c client.Client) {
	p := start(t, "--kubeconfig", api.Kubeconfig, "--bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0",
		"--metrics-bind-address=127.0.0.1:0", "--deliveries-bind-address=127.0.0.1:0", "--drain=2s")
	events, probes := p.address(t, "serving events"), p.address(t, "serving probes")
	eventually(t, func() error { return needs(p.String(), "install Tekton Triggers") })
	installTriggers(t, c)
	p.address(t, "ClusterInterceptor tekgate is published")
	createTriggers(t, c)
	if n := strings.Count(p.String(), "install Tekton Triggers"); n != 1 {
		t.Errorf("the missing CRD is logged %d times, want once:\n%s", n, p.String())
	}
	to, _ := options{}.target()
	trusted := clientOf(t, mustGet(t, c, to.clusterInterceptor(nil)), events)
	checkEvents(t, trusted)
	checkStatus(t, "http://"+probes+"/healthz", 200)
	checkStatus(t, "http://"+probes+"/readyz", 200)
	r, err := trusted.Post("https://tekgate-interceptor.tekgate.svc//verify", "application/json",
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusNotFound || r.Request.Method != http.MethodPost {
		t.Errorf("//verify: got %d to a %s, want 404 and no redirect", r.StatusCode, r.Request.Method)
	}

	p.cancel()
	eventually(t, func() error { return needs(p.String(), "shutting down") })
	checkStatus(t, "http://"+probes+"/readyz", 503)
	checkStatus(t, "http://"+probes+"/healthz", 200)
	checkEvents(t, trusted) // those that come late are still answered
	if err := <-p.done; err != nil {
		t.Errorf("the program ended with %v", err)
	}
	if _, err := trusted.Get("https://tekgate-interceptor.tekgate.svc/verify"); err == nil {
		t.Error("the program ended and still serves")
	}
	for _, private := range []string{"Secret to Everybody", "PRIVATE KEY", "757107ea"} {
		if strings.Contains(p.String(), private) {
			t.Errorf("the log holds %q:\n%s", private, p.String())
		}
	}
}

func needs(text, part string) error {
	if !strings.Contains(text, part) {
		return fmt.Errorf("%q is not in\n%s", part, text)
	}
	return nil
}

func checkStatus(t *testing.T, url string, want int) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != want {
		t.Errorf("%s answers %d, want %d", url, r.StatusCode, want)
	}
}

// clientOf returns a client that trusts what an EventListener trusts, the object's
// caBundle and nothing else, and reaches every host at address.
func clientOf(t *testing.T, published *unstructured.Unstructured, address string) *http.Client {
	t.Helper()
	encoded, _, _ := unstructured.NestedString(published.Object, "spec", "clientConfig", "caBundle")
	bundle, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		t.Fatalf("the caBundle %q holds no certificate", bundle)
	}
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "tekgate-interceptor.tekgate.svc"}}
	transport := &http.Transport{DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// checkEvents asks about a Trigger that has the Secret, and about one in a namespace
// that has not.
func checkEvents(t *testing.T, c *http.Client) {
	t.Helper()
	for namespace, want := range map[string]bool{"ci": true, "default": false} {
		if got := askExample(t, c, namespace); got.Continue != want {
			t.Errorf("namespace %s: got %+v, want continue %v", namespace, got, want)
		}
	}
	if got := askAs(t, c, "namespaces/ci/triggers/made-up"); got.Continue {
		t.Errorf("a trigger that the cluster does not have: got %+v", got)
	}
}

// askExample posts GitHub's documented example for a Trigger in a namespace.
func askExample(t *testing.T, c *http.Client, namespace string) *v1beta1.InterceptorResponse {
	t.Helper()
	return askAs(t, c, "namespaces/"+namespace+"/triggers/build")
}

func askAs(t *testing.T, c *http.Client, triggerID string) *v1beta1.InterceptorResponse {
	t.Helper()
	body, err := json.Marshal(&v1beta1.InterceptorRequest{
		Body: "Hello, World!",
		Header: map[string][]string{
			"X-Github-Event":      {"push"},
			"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		},
		InterceptorParams: map[string]any{"provider": "github",
			"secretRef": map[string]any{"secretName": "hook", "secretKey": "token"}},
		Context: &v1beta1.TriggerContext{TriggerID: triggerID},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Post("https://tekgate-interceptor.tekgate.svc/verify", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	got := &v1beta1.InterceptorResponse{}
	if err := json.NewDecoder(r.Body).Decode(got); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %s, error %v", triggerID, r.Status, err)
	}
	return got
}

// testOneWrite watches from before the object exists: what EventListeners see
// first must be complete, and there must be no second version of it.
func testOneWrite(t *testing.T, c client.WithWatch, p publisher) {
	if err := c.Delete(t.Context(), mustGet(t, c, p.want)); err != nil {
		t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("triggers.tekton.dev/v1alpha1")
	list.SetKind("ClusterInterceptorList")
	w, err := c.Watch(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if changed, err := p.publish(t.Context()); !changed || err != nil {
		t.Fatalf("got changed %v and error %v", changed, err)
	}
	var seen []watch.Event
	for quiet := time.After(2 * time.Second); quiet != nil; {
		select {
		case e := <-w.ResultChan():
			seen = append(seen, e)
		case <-quiet:
			quiet = nil
		}
	}
	if len(seen) != 1 || seen[0].Type != watch.Added {
		t.Fatalf("got %d events, the first of type %v; want one that adds", len(seen), seen)
	}
	first := seen[0].Object.(*unstructured.Unstructured)
	if !isEqual(first, p.want) || first.GetLabels()["server/type"] != "https" {
		t.Errorf("the first version is incomplete: %v", first.Object)
	}
	checkOwner(t, first)
}

// checkOwner insists that no field belongs to anybody else.
func checkOwner(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	fields := u.GetManagedFields()
	if len(fields) != 1 || fields[0].Manager != "tekgate-interceptor" ||
		fields[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("want one manager, tekgate-interceptor by apply; got %v", fields)
	}
}

func testEqual(t *testing.T, c client.Client, p publisher) {
	before := mustGet(t, c, p.want).GetResourceVersion()
	if changed, err := p.publish(t.Context()); changed || err != nil {
		t.Errorf("got changed %v and error %v", changed, err)
	}
	if after := mustGet(t, c, p.want).GetResourceVersion(); after != before {
		t.Error("an equal object was written again")
	}
}

func testRepair(t *testing.T, c client.Client, p publisher) {
	tests := []struct {
		name string
		edit func(u *unstructured.Unstructured)
	}{
		{"label taken away", func(u *unstructured.Unstructured) { u.SetLabels(nil) }},
		{"label as Triggers defaults it", func(u *unstructured.Unstructured) {
			u.SetLabels(map[string]string{"server/type": "http"})
		}},
		{"caBundle emptied", func(u *unstructured.Unstructured) { set(t, u, "", "spec", "clientConfig", "caBundle") }},
		{"caBundle removed", func(u *unstructured.Unstructured) {
			unstructured.RemoveNestedField(u.Object, "spec", "clientConfig", "caBundle")
		}},
		{"another service", func(u *unstructured.Unstructured) {
			set(t, u, "evil", "spec", "clientConfig", "service",
				"name")
		}},
		{"a url beside the service", func(u *unstructured.Unstructured) {
			set(t, u, "https://evil.example.com", "spec", "clientConfig", "url")
		}},
		{"a url in place of the service", func(u *unstructured.Unstructured) {
			unstructured.RemoveNestedField(u.Object, "spec", "clientConfig", "service")
			set(t, u, "https://evil.example.com", "spec", "clientConfig", "url")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live := mustGet(t, c, p.want)
			tt.edit(live)
			if err := c.Update(t.Context(), live, client.FieldOwner("somebody")); err != nil {
				t.Fatal(err)
			}
			if changed, err := p.publish(t.Context()); !changed || err != nil {
				t.Fatalf("got changed %v and error %v", changed, err)
			}
			if live := mustGet(t, c, p.want); !isEqual(live, p.want) {
				t.Errorf("it is still %v", live.Object)
			}
			if changed, err := p.publish(t.Context()); changed || err != nil {
				t.Errorf("the second time: got changed %v and error %v", changed, err)
			}
		})
	}
}

func set(t *testing.T, u *unstructured.Unstructured, value string, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

func testSwitch(t *testing.T, c client.Client, p publisher) {
	o := options{namespace: "tekgate", service: "tekgate-interceptor", url: "https://127.0.0.1:9444"}
	to, err := o.target()
	if err != nil {
		t.Fatal(err)
	}
	outside := p
	outside.want = to.clusterInterceptor([]byte("another bundle"))
	for _, p := range []publisher{outside, p, outside, p} {
		if changed, err := p.publish(t.Context()); !changed || err != nil {
			t.Fatalf("got changed %v and error %v", changed, err)
		}
		if live := mustGet(t, c, p.want); !isEqual(live, p.want) {
			t.Errorf("got %v", live.Object)
		}
	}
}

// testRights publishes as the ServiceAccount of the manifests: without its roles,
// which the error must explain, and with them.
func testRights(t *testing.T, admin *rest.Config, c client.Client, p publisher) {
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:tekgate:tekgate-interceptor"}
	limited, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.client = limited
	_, err = p.publish(t.Context())
	if err == nil || !strings.Contains(err.Error(),
		"the ServiceAccount needs get, patch and create on clusterinterceptors") {
		t.Errorf("without rights: got %v", err)
	}
	applyFile(t, c, filepath.Join("..", "..", "manifests", "tekgate", "200-interceptor-rbac.yaml"))
	if err := c.Delete(t.Context(), mustGet(t, c, p.want)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the authorizer learns of roles with a delay
		_, err := p.publish(t.Context())
		return err
	})
	if !isEqual(mustGet(t, c, p.want), p.want) {
		t.Error("it was not published with the manifests' rights")
	}
	eventually(t, func() error {
		secret, err := secrets.New(limited, secrets.Options{}).Get(t.Context(), "ci", "hook")
		if err == nil && len(secret.Data["token"]) == 0 {
			err = errors.New("the Secret came without its key")
		}
		return err
	})
	if _, err := secrets.New(limited, secrets.Options{}).Get(t.Context(), "ci", "absent"); !apierrors.IsNotFound(err) {
		t.Errorf("got %v for a Secret that is not there", err)
	}
	o := certs.Options{Client: limited, Namespace: "tekgate", Name: "made-with-the-manifests-rights",
		DNSNames: []string{"x"}}
	if _, err := certs.Load(t.Context(), o); err != nil {
		t.Errorf("making a CA with the manifests' rights: %v", err)
	}
	testLeaseRights(t, limited)
}

// testLeaseRights holds that the interceptor's identity touches Leases in the namespace of
// deliveries, and nowhere else.
func testLeaseRights(t *testing.T, limited client.Client) {
	t.Helper()
	touch := func(namespace string) []error {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "replay-rights",
			Labels: map[string]string{wellknown.ReplayNamespace: "ci"}}}
		created := limited.Create(t.Context(), lease)
		read := limited.Get(t.Context(), client.ObjectKeyFromObject(lease), lease)
		listed := limited.List(t.Context(), &coordinationv1.LeaseList{}, client.InNamespace(namespace))
		return []error{created, read, listed, limited.Delete(t.Context(), lease)}
	}
	eventually(t, func() error { return errors.Join(touch(wellknown.DeliveriesNamespace)...) })
	for _, namespace := range []string{"tekgate", "ci", "kube-system", "default", ""} {
		for what, err := range touch(namespace) {
			if namespace != "" && !apierrors.IsForbidden(err) || err == nil {
				t.Errorf("namespace %q, request %d: %v", namespace, what, err)
			}
		}
	}
}
