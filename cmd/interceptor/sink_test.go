package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/client/clientset/versioned"
	"github.com/tektoncd/triggers/pkg/client/informers/externalversions"
	"github.com/tektoncd/triggers/pkg/sink"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// triggersSite is an API server with Triggers' kinds, on which the sink of
// EventListeners runs as a library: the very code of their Pods.
type triggersSite struct {
	api     *cluster.Cluster
	client  client.WithWatch
	kube    kubernetes.Interface
	sink    sink.Sink // without a listener's name
	factory externalversions.SharedInformerFactory
	log     *child.Log

	mu     sync.Mutex
	routes map[string]string // address by host, as a cluster's DNS and Services have it
}

const namespaceCI = "ci"

func newTriggersSite(t *testing.T) *triggersSite {
	t.Helper()
	s := &triggersSite{api: cluster.Start(t), routes: map[string]string{}, log: &child.Log{}}
	config := rest.CopyConfig(s.api.Config)
	config.QPS = -1
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.client, err = client.NewWithWatch(config, client.Options{})
	must(err)
	s.kube, err = kubernetes.NewForConfig(config)
	must(err)
	typed, err := versioned.NewForConfig(config)
	must(err)
	untyped, err := dynamic.NewForConfig(config)
	must(err)
	recorder, err := sink.NewRecorder()
	must(err)
	s.installKinds(t)
	for _, name := range []string{"tekgate", wellknown.DeliveriesNamespace, namespaceCI} {
		create(t, s.client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(s.log),
		zapcore.DebugLevel)
	s.factory = externalversions.NewSharedInformerFactory(typed, 0)
	beta, alpha := s.factory.Triggers().V1beta1(), s.factory.Triggers().V1alpha1()
	s.sink = sink.Sink{
		KubeClientSet: s.kube, TriggersClient: typed, DiscoveryClient: s.kube.Discovery(), DynamicClient: untyped,
		Logger: zap.New(core).Sugar(), Recorder: recorder, Auth: sink.DefaultAuthOverride{}, PayloadValidation: true,
		EventListenerNamespace: namespaceCI,

		EventListenerLister:         beta.EventListeners().Lister(),
		TriggerLister:               beta.Triggers().Lister(),
		TriggerBindingLister:        beta.TriggerBindings().Lister(),
		ClusterTriggerBindingLister: beta.ClusterTriggerBindings().Lister(),
		TriggerTemplateLister:       beta.TriggerTemplates().Lister(),
		ClusterInterceptorLister:    alpha.ClusterInterceptors().Lister(),
		InterceptorLister:           alpha.Interceptors().Lister(),
	}
	s.factory.Start(t.Context().Done())
	s.factory.WaitForCacheSync(t.Context().Done())
	return s
}

// installKinds creates all CRDs of Triggers.
func (s *triggersSite) installKinds(t *testing.T) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/tektoncd/triggers").Output()
	if err != nil {
		t.Fatalf("finding the module of Triggers: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config", "300-*.yaml"))
	if err != nil || len(files) < 7 {
		t.Fatalf("the module of Triggers has %d definitions, error %v", len(files), err)
	}
	for _, file := range files {
		applyFile(t, s.client, file)
	}
	eventually(t, func() error {
		for _, kind := range []string{"Trigger", "TriggerBinding", "TriggerTemplate", "EventListener",
			"ClusterTriggerBinding"} {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(triggersObject(kind + "List").GroupVersionKind())
			if err := s.client.List(t.Context(), list); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *triggersSite) route(host, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routes[host] = address
}

func (s *triggersSite) resolve(hostPort string) string {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return hostPort
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if address := s.routes[host]; address != "" {
		return address
	}
	return hostPort
}

// apply creates objects from YAML, and waits until the sink's listers have them.
func (s *triggersSite) apply(t *testing.T, text string) {
	t.Helper()
	for document := range strings.SplitSeq(text, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := s.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("test"),
			client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
}

// trust is the HTTP client of an EventListener: it trusts the caBundles of all
// ClusterInterceptors, and of its namespace's Interceptors, that are labelled
// server/type=https, reads them again at an interval, and forgets none. So does
// Triggers' adapter, once a minute; and it ends where one has no caBundle.
type trust struct {
	site *triggersSite

	mu     sync.Mutex
	pool   *x509.CertPool
	deaths []string
}

func newTrust(t *testing.T, s *triggersSite, every time.Duration) *trust {
	t.Helper()
	tr := &trust{site: s, pool: x509.NewCertPool()}
	tr.refresh()
	ticker := time.NewTicker(every)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case <-ticker.C:
				tr.refresh()
			}
		}
	}()
	return tr
}

func (tr *trust) refresh() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	cis, err := tr.site.sink.ClusterInterceptorLister.List(labels.Everything())
	if err != nil {
		tr.deaths = append(tr.deaths, err.Error())
	}
	add := func(name string, has map[string]string, bundle []byte) {
		if has["server/type"] == "https" && !tr.pool.AppendCertsFromPEM(bundle) {
			tr.deaths = append(tr.deaths, fmt.Sprintf("the caBundle of %s is %q", name, bundle))
		}
	}
	for _, ci := range cis {
		add(ci.Name, ci.Labels, ci.Spec.ClientConfig.CaBundle)
	}
	own, err := tr.site.sink.InterceptorLister.Interceptors(namespaceCI).List(labels.Everything())
	if err != nil {
		tr.deaths = append(tr.deaths, err.Error())
	}
	for _, i := range own {
		add(i.Name, i.Labels, i.Spec.ClientConfig.CaBundle)
	}
}

// alive fails the test where the EventListener would have ended.
func (tr *trust) alive(t *testing.T) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.deaths) > 0 {
		t.Errorf("an EventListener would have ended %d times, first of this: %s", len(tr.deaths), tr.deaths[0])
	}
}

func (tr *trust) client(t *testing.T, patience time.Duration) *http.Client {
	t.Helper()
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: patience, ExpectContinueTimeout: time.Second,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			tr.mu.Lock()
			pool := tr.pool.Clone()
			tr.mu.Unlock()
			host, _, _ := net.SplitHostPort(address)
			d := &tls.Dialer{NetDialer: dialer,
				Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: host}}
			return d.DialContext(ctx, network, tr.site.resolve(address))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// listener is an EventListener that runs.
type listener struct {
	site *triggersSite
	url  string
	wait *sync.WaitGroup
}

func (s *triggersSite) listen(t *testing.T, name string, c *http.Client) *listener {
	t.Helper()
	l := &listener{site: s, wait: &sync.WaitGroup{}}
	r := s.sink
	r.EventListenerName, r.HTTPClient, r.WGProcessTriggers = name, c, l.wait
	server := httptest.NewServer(r.IsValidPayload(http.HandlerFunc(r.HandleEvent)))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// deliver posts an event and returns what was created for it, by trigger.
func (l *listener) deliver(t *testing.T, body string, header http.Header) map[string]map[string]string {
	t.Helper()
	eventID := l.post(t, body, header)
	l.wait.Wait()
	return l.site.created(t, eventID)
}

// post posts an event and returns its id.
func (l *listener) post(t *testing.T, body string, header http.Header) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("the EventListener answers %s: %s", response.Status, text)
	}
	var answer struct{ EventID string }
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.EventID
}

// created returns the data of the ConfigMaps that an event made.
func (s *triggersSite) created(t *testing.T, eventID string) map[string]map[string]string {
	t.Helper()
	list := &corev1.ConfigMapList{}
	if err := s.client.List(t.Context(), list,
		client.MatchingLabels{"triggers.tekton.dev/triggers-eventid": eventID}); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, m := range list.Items {
		out[m.Labels["triggers.tekton.dev/trigger"]] = m.Data
	}
	return out
}

const pushBody = `{"ref":"refs/heads/main","before":"1b5c2dbd7f8f6cf2a8e1ae1d76a4b2a1f0a4d3c2","after":"6ad1c9f5f3b1f0c4bb0d3a2d8d9d1c0e5a7f9b31",` +
	`"repository":{"full_name":"team/app","clone_url":"https://github.com/team/app.git"},"text":"<&> é"}` + "\n"

// githubHeader signs a body as GitHub does.
func githubHeader(secret, body string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"push"},
		"X-Github-Delivery":   {"72d3162e-cc78-11e3-81ab-4c9367dc0958"},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

// recipe is a binding and a template that show what the interceptor said.
const recipe = `
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerBinding
metadata: {name: seen, namespace: ci}
spec:
  params:
  - {name: event, value: $(extensions.git.event)}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: seen, namespace: ci}
spec:
  params: [{name: event, default: none}]
  resourcetemplates:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {generateName: seen-, namespace: ci}
    data: {event: $(tt.params.event)}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: bare, namespace: ci}
spec:
  resourcetemplates:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {generateName: bare-, namespace: ci}
    data: {event: bare}
---
apiVersion: v1
kind: Secret
metadata: {name: hook, namespace: ci}
stringData: {token: "a secret of some length"}
`

const hookSecret = "a secret of some length"

// verifying is the interceptor's part of a trigger, as Triggers' webhook leaves it:
// without a kind the sink posts to nowhere.
const verifying = `{ref: {name: tekgate, kind: ClusterInterceptor}, params: [{name: provider, value: github}, {name: secretRef, value: {secretName: hook, secretKey: token}}]}`

func TestSink(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	s := newTriggersSite(t)
	s.apply(t, recipe)
	t.Run("what the sink makes of answers", s.testAnswers)

	p := start(t, "--kubeconfig", s.api.Kubeconfig, "--bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0",
		"--metrics-bind-address=127.0.0.1:0", "--deliveries-bind-address=127.0.0.1:0", "--drain=1s", "--recheck=300ms",
		"--ca-overlap=3s")
	s.route("tekgate-interceptor.tekgate.svc", p.address(t, "serving events"))
	p.address(t, "ClusterInterceptor tekgate is published")
	time.Sleep(300 * time.Millisecond) // the listers hear of it
	t.Run("triggers", func(t *testing.T) { s.testTriggers(t, p) })
	t.Run("trigger groups verify once", func(t *testing.T) { s.testGroups(t, p) })
	t.Run("namespaced interceptors", s.testNamespaced)
	t.Run("Events on triggers", s.testEvents)
	t.Run("a CA is replaced under load", func(t *testing.T) { s.testReplaceCA(t, p) })
}

// testAnswers writes down what the sink does with each kind of answer, those that
// ours never gives included: it is why it never does.
func (s *triggersSite) testAnswers(t *testing.T) {
	const patience = 10 * time.Second // of the sink: on a loaded machine it may be busy for seconds
	tests := []struct {
		name    string
		status  int
		body    string
		runs    bool
		logged  string
		serving http.HandlerFunc // in place of status and body
	}{
		{name: "continue", status: 200, body: `{"continue":true}`, runs: true},
		{name: "continue with an error status", status: 200,
			body: `{"continue":true,"status":{"code":16,"message":"no"}}`, runs: true},
		{name: "continue with a status by name", status: 200,
			body: `{"continue":true,"status":{"code":"UNAUTHENTICATED"}}`, runs: true},
		{name: "stop", status: 200, body: `{"continue":false,"status":{"code":16,"message":"the reason"}}`,
			logged: "interceptor stopped trigger processing"},
		{name: "an empty object", status: 200, body: `{}`, logged: "interceptor stopped trigger processing"},
		{name: "an empty body", status: 200, body: ``, logged: "unexpected end of JSON"},
		{name: "no JSON", status: 200, body: `yes`, logged: "invalid character"},
		{name: "a status of HTTP's in the body", status: 200, body: `{"continue":true,"status":{"code":401}}`,
			logged: "invalid code"},
		{name: "accepted", status: 202, body: `{"continue":true}`, logged: "was not 200"},
		{name: "unauthorized", status: 401, body: `{"continue":true}`, logged: "was not 200"},
		{name: "unavailable", status: 503, body: `{"continue":true}`, logged: "was not 200"},
		{name: "a redirect is followed as a GET and trusted", runs: true,
			serving: func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					fmt.Fprint(w, `{"continue":true}`)
					return
				}
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
			}},
		{name: "too slow", logged: "timeout awaiting response headers",
			serving: func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(patience + 500*time.Millisecond)
				fmt.Fprint(w, `{"continue":true}`)
			}},
	}
	var answer http.HandlerFunc
	var mu sync.Mutex
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		serve := answer
		mu.Unlock()
		serve(w, r)
	}))
	defer server.Close()
	s.apply(t, interceptorYAML("ClusterInterceptor", "answers", "", server.URL, server.Certificate()))
	s.apply(t, eventListener(
		"answers", `{name: one, interceptors: [{ref: {name: answers, kind: ClusterInterceptor}}], template: {ref: bare}}`))
	tr := newTrust(t, s, time.Hour)
	l := s.listen(t, "answers", tr.client(t, patience))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mu.Lock()
			answer = tt.serving
			if answer == nil {
				answer = func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(tt.status)
					fmt.Fprint(w, tt.body)
				}
			}
			mu.Unlock()
			before := len(s.log.String())
			got := l.deliver(t, `{}`, http.Header{"Content-Type": {"application/json"}})
			if runs := len(got) == 1; runs != tt.runs {
				t.Errorf("created %v, want a run: %v", got, tt.runs)
			}
			if said := s.log.String()[before:]; !strings.Contains(said, tt.logged) {
				t.Errorf("the log lacks %q:\n%s", tt.logged, said)
			}
		})
	}
	if err := s.client.Delete(t.Context(), interceptorObject("ClusterInterceptor", "answers", "")); err != nil {
		t.Fatal(err)
	}
}

func interceptorObject(kind, name, namespace string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("triggers.tekton.dev/v1alpha1")
	u.SetKind(kind)
	u.SetName(name)
	u.SetNamespace(namespace)
	return u
}

func interceptorYAML(kind, name, namespace, url string, ca *x509.Certificate) string {
	u := interceptorObject(kind, name, namespace)
	u.SetLabels(map[string]string{"server/type": "https"})
	u.Object["spec"] = map[string]any{"clientConfig": map[string]any{"url": url,
		"caBundle": base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: ca.Raw}))}}
	text, err := yaml.Marshal(u.Object)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func eventListener(name string, triggers ...string) string {
	return "apiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\nmetadata: {name: " + name + ", namespace: ci}\n" +
		"spec:\n  triggers:\n  - " + strings.Join(triggers, "\n  - ") + "\n"
}

func (s *triggersSite) testTriggers(t *testing.T, p *program) {
	s.apply(t, eventListener("triggers",
		`{name: good, interceptors: [`+verifying+`], bindings: [{ref: seen}], template: {ref: seen}}`,
		`{name: other-secret, interceptors: [`+strings.Replace(verifying, "secretName: hook", "secretName: absent",
			1)+`], template: {ref: bare}}`,
		`{name: misspelt, interceptors: [`+strings.Replace(verifying, "name: provider", "name: providr",
			1)+`], template: {ref: bare}}`,
	))
	tr := newTrust(t, s, time.Hour)
	l := s.listen(t, "triggers", tr.client(t, 10*time.Second))
	for _, tt := range []struct {
		name   string
		header http.Header
		want   string
	}{
		{"signed", githubHeader(hookSecret, pushBody), "map[good:map[event:push]]"},
		{"forged", githubHeader("a guess", pushBody), "map[]"},
		{"unsigned", http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {"push"}}, "map[]"},
		{"signed for another body", githubHeader(hookSecret, strings.TrimSpace(pushBody)), "map[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(s.log.String())
			if got := fmt.Sprint(l.deliver(t, pushBody, tt.header)); got != tt.want {
				t.Errorf("created %s, want %s\n%s", got, tt.want, p.String())
			}
			// A refusal is no error of the EventListener's.
			if said := s.log.String()[before:]; strings.Contains(said, `"level":"error"`) {
				t.Errorf("the EventListener logs an error:\n%s", said)
			}
		})
	}
	tr.alive(t)
}

func (s *triggersSite) testGroups(t *testing.T, p *program) {
	s.apply(t, `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: groups, namespace: ci}
spec:
  triggerGroups:
  - name: verified
    interceptors: [`+verifying+`]
    triggerSelector: {labelSelector: {matchLabels: {group: verified}}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: first, namespace: ci, labels: {group: verified}}
spec: {bindings: [{ref: seen}], template: {ref: seen}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: second, namespace: ci, labels: {group: verified}}
spec: {bindings: [{ref: seen}], template: {ref: seen}}`)
	tr := newTrust(t, s, time.Hour)
	l := s.listen(t, "groups", tr.client(t, 10*time.Second))
	before := strings.Count(p.String(), `"msg":"verdict"`)
	got := fmt.Sprint(l.deliver(t, pushBody, githubHeader(hookSecret, pushBody)))
	if want := "map[first:map[event:push] second:map[event:push]]"; got != want {
		t.Errorf("created %s, want %s", got, want)
	}
	if n := strings.Count(p.String(), `"msg":"verdict"`) - before; n != 1 {
		t.Errorf("%d verdicts for one group", n)
	}
	if got := l.deliver(t, pushBody, githubHeader("a guess", pushBody)); len(got) > 0 {
		t.Errorf("a forged event created %v", got)
	}
}

// testNamespaced points an Interceptor, which a namespace has for itself, at the
// server: it answers it as it answers a ClusterInterceptor.
func (s *triggersSite) testNamespaced(t *testing.T) {
	ci, err := s.sink.ClusterInterceptorLister.Get("tekgate")
	if err != nil {
		t.Fatal(err)
	}
	own := interceptorObject("Interceptor", "own", namespaceCI)
	own.SetLabels(map[string]string{"server/type": "https"})
	own.Object["spec"] = map[string]any{"clientConfig": map[string]any{
		"caBundle": base64.StdEncoding.EncodeToString(ci.Spec.ClientConfig.CaBundle),
		"service": map[string]any{"name": "tekgate-interceptor", "namespace": "tekgate", "path": "verify",
			"port": int64(443)},
	}}
	create(t, s.client, own)
	s.apply(t, eventListener("namespaced",
		`{name: own, interceptors: [`+strings.Replace(verifying, "name: tekgate, kind: ClusterInterceptor",
			"name: own, kind: NamespacedInterceptor", 1)+`], bindings: [{ref: seen}], template: {ref: seen}}`))
	tr := newTrust(t, s, time.Hour)
	l := s.listen(t, "namespaced", tr.client(t, 10*time.Second))
	if got, want := fmt.Sprint(l.deliver(t, pushBody, githubHeader(hookSecret, pushBody))),
		"map[own:map[event:push]]"; got != want {
		t.Errorf("created %s, want %s", got, want)
	}
	if got := l.deliver(t, pushBody, githubHeader("a guess", pushBody)); len(got) > 0 {
		t.Errorf("a forged event created %v", got)
	}
	if err := s.client.Delete(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	tr.alive(t)
}

// verifyingTriggers creates Triggers for verdict.
func (s *triggersSite) verifyingTriggers(t *testing.T, names ...string) {
	t.Helper()
	var documents []string
	for _, name := range names {
		documents = append(documents, "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\n"+
			"metadata: {name: "+name+", namespace: ci}\nspec: {template: {ref: bare}, interceptors: ["+verifying+"]}")
	}
	s.apply(t, strings.Join(documents, "\n---\n"))
}

// verdict asks as a trigger of the sink's does.
func (s *triggersSite) verdict(c *http.Client, trigger, eventID, body string, header http.Header, params string) (bool,
	error) {
	r := s.sink
	r.HTTPClient = c
	var interceptor v1beta1.TriggerInterceptor
	if err := yaml.Unmarshal([]byte(params), &interceptor); err != nil {
		return false, err
	}
	interceptor.Ref.Kind = v1beta1.ClusterInterceptorKind
	request, err := http.NewRequest(http.MethodPost, "http://el/", nil)
	if err != nil {
		return false, err
	}
	request.Header = header
	_, _, answer, err := r.ExecuteInterceptors([]*v1beta1.TriggerInterceptor{&interceptor}, request, []byte(body),
		zap.NewNop().Sugar(),
		eventID, "namespaces/"+namespaceCI+"/triggers/"+trigger, namespaceCI, map[string]any{})
	return err == nil && answer != nil && answer.Continue, err
}

// testReplaceCA has events verified without pause, each over a connection of its
// own, while the CA is replaced.
func (s *triggersSite) testReplaceCA(t *testing.T, p *program) {
	s.verifyingTriggers(t, "build")
	tr := newTrust(t, s, 500*time.Millisecond)
	before := s.caBundle(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	var mu sync.Mutex
	asked, wrong := 0, []error{}
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				c := tr.client(t, 10*time.Second)
				passed, err := s.verdict(c, "build", "e", pushBody, githubHeader(hookSecret, pushBody), verifying)
				c.CloseIdleConnections()
				mu.Lock()
				asked++
				if !passed {
					wrong = append(wrong, fmt.Errorf("passed %v, error %w", passed, err))
				}
				mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	secret := &corev1.Secret{}
	if err := s.client.Get(t.Context(), client.ObjectKey{Namespace: "tekgate", Name: "tekgate-interceptor-ca"},
		secret); err != nil {
		t.Fatal(err)
	}
	old := string(secret.Data["tls.crt"])
	patch := client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"tekgate.dev/rotate-ca":"now"}}}`))
	if err := s.client.Patch(t.Context(), secret, patch); err != nil {
		t.Fatal(err)
	}
	both := false
	eventually(t, func() error {
		if err := s.client.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
			return err
		}
		both = both || strings.Contains(s.caBundle(t), string(secret.Data["next.crt"])) &&
			len(secret.Data["next.crt"]) > 0 && strings.Contains(s.caBundle(t), old)
		if string(secret.Data["tls.crt"]) == old {
			return fmt.Errorf("the CA is not replaced; annotations %v", secret.Annotations)
		}
		return nil
	})
	time.Sleep(2 * time.Second)  // with the new CA's leaf
	eventually(t, func() error { // on a slow machine
		mu.Lock()
		defer mu.Unlock()
		if asked < 100 {
			return fmt.Errorf("%d events are too few", asked)
		}
		return nil
	})
	cancel()
	group.Wait()
	t.Logf("%d events while the CA was replaced", asked)
	if len(wrong) > 0 || asked < 100 {
		t.Errorf("%d of %d events failed, the first with: %v\n%s", len(wrong), asked, wrong, p.String())
	}
	after := s.caBundle(t)
	if !both || after == before || !strings.Contains(after, string(secret.Data["tls.crt"])) ||
		!strings.Contains(after, old) {
		t.Errorf("the bundle never held both CAs, or does not hold the new one now: %v", both)
	}
	tr.alive(t)
}

func (s *triggersSite) caBundle(t *testing.T) string {
	t.Helper()
	ci, err := s.sink.ClusterInterceptorLister.Get("tekgate")
	if err != nil {
		t.Fatal(err)
	}
	return string(ci.Spec.ClientConfig.CaBundle)
}
