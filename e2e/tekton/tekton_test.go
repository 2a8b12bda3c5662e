package tekton_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/admit"
)

// bed is a cluster with one of Tekton's webhooks.
type bed struct {
	*testing.T
	cluster *cluster.Cluster
	client  client.Client
	webhook *tekton.Webhook
}

func newBed(t *testing.T, o tekton.Options) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	k, err := client.New(c.Config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	return &bed{T: t, cluster: c, client: k, webhook: tekton.Start(t, c, o)}
}

// part runs a part of the test.
func (b *bed) part(name string, test func(b *bed)) {
	b.Run(name, func(t *testing.T) {
		part := *b
		part.T = t
		test(&part)
	})
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	obj.SetNamespace("default")
	return obj
}

func (b *bed) create(text string) *unstructured.Unstructured {
	b.Helper()
	obj := parse(b.T, text)
	if err := b.client.Create(b.Context(), obj); err != nil {
		b.Fatal(err)
	}
	return obj
}

// refused fails unless the named webhook refuses an object and says why.
func (b *bed) refused(by, why, text string) {
	b.Helper()
	err := b.client.Create(b.Context(), parse(b.T, text))
	for _, part := range []string{fmt.Sprintf("admission webhook %q denied the request", by), why} {
		if err == nil || !strings.Contains(err.Error(), part) {
			b.Errorf("got error %v, want %q", err, part)
		}
	}
}

func account(obj *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(obj.Object, "spec", "serviceAccountName")
	return name
}

const (
	validation = "validation.webhook.pipeline.tekton.dev"

	run = `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {generateName: run-}
spec: {taskSpec: {steps: [{name: one, image: example.com/image}]}}
`
)

func TestPipeline(t *testing.T) {
	b := newBed(t, tekton.Options{})
	b.part("defaults", (*bed).testDefaults)
	b.part("refusals", (*bed).testRefusals)
	b.part("conversion", (*bed).testConversion)
	b.part("config-defaults", (*bed).testConfigDefaults)
	b.part("feature-flags", (*bed).testFeatureFlags)
	b.part("order", func(b *bed) {
		b.sees(map[string]string{"mutate.tekgate.dev": "", "zz.example.dev": "default"})
	})
	b.part("stop", (*bed).testStop)
	b.part("the other order", func(b *bed) {
		b.webhook = tekton.Start(b.T, b.cluster, tekton.Options{Name: "aa.webhook.pipeline.tekton.dev"})
		b.refused("aa.webhook.pipeline.tekton.dev", `unknown field "imagee"`,
			strings.Replace(run, "image:", "imagee:", 1))
		b.sees(map[string]string{"mutate.tekgate.dev": "default", "a.example.dev": ""})
		b.testConversion()
	})
}

func (b *bed) testDefaults() {
	obj := b.create(run)
	if account(obj) != "default" || obj.GetLabels()["app.kubernetes.io/managed-by"] != "tekton-pipelines" {
		b.Errorf("ServiceAccount %q, labels %v", account(obj), obj.GetLabels())
	}
}

func (b *bed) testRefusals() {
	b.refused("webhook.pipeline.tekton.dev", `unknown field "imagee"`, strings.Replace(run, "image:", "imagee:", 1))
	b.refused(validation, "expected exactly one, got both: spec.taskRef, spec.taskSpec",
		strings.Replace(run, "spec: {", "spec: {taskRef: {name: other}, ", 1))
	b.refused(validation, "spec.taskSpec.steps[1].name",
		strings.Replace(run, "steps: [", "steps: [{name: one, image: example.com/image}, ", 1))
	b.refused(validation, "must not set the field(s): spec.taskRef.bundle", `
apiVersion: tekton.dev/v1beta1
kind: TaskRun
metadata: {generateName: bundle-}
spec: {taskRef: {name: other, bundle: example.com/bundle}}
`)
}

// testConversion stores v1beta1 and reads v1, and has fields that changed
// their names on the way.
func (b *bed) testConversion() {
	old := b.create(`
apiVersion: tekton.dev/v1beta1
kind: PipelineRun
metadata: {generateName: old-}
spec:
  serviceAccountName: builder
  pipelineSpec:
    tasks: [{name: one, taskSpec: {steps: [{name: one, image: example.com/image}]}}]
`)
	now := parse(b.T, "{apiVersion: tekton.dev/v1, kind: PipelineRun}")
	if err := b.client.Get(b.Context(), client.ObjectKeyFromObject(old), now); err != nil {
		b.Fatal(err)
	}
	name, _, _ := unstructured.NestedString(now.Object, "spec", "taskRunTemplate", "serviceAccountName")
	if account(old) != "builder" || name != "builder" || account(now) != "" {
		b.Errorf("v1beta1 says %q, v1 %v", account(old), now.Object["spec"])
	}
}

func (b *bed) testConfigDefaults() {
	b.part("changed", func(b *bed) {
		for _, name := range []string{"builder", "robot"} {
			b.webhook.Configure(b.T, "config-defaults", map[string]string{"default-service-account": name})
			if obj := b.create(run); account(obj) != name {
				b.Errorf("the ServiceAccount is %q, want %q", account(obj), name)
			}
		}
	})
	if obj := b.create(run); account(obj) != "default" {
		b.Errorf("after the test the ServiceAccount is still %q", account(obj))
	}
	config := parse(b.T, "{apiVersion: v1, kind: ConfigMap, metadata: {name: config-defaults}}")
	config.SetNamespace("tekton-pipelines")
	wrong := []byte(`{"data":{"default-timeout-minutes":"soon"}}`)
	err := b.client.Patch(b.Context(), config, client.RawPatch("application/merge-patch+json", wrong))
	if err == nil || !strings.Contains(err.Error(), `"config.webhook.pipeline.tekton.dev" denied`) {
		b.Errorf("a wrong configuration gives %v", err)
	}
}

func (b *bed) testFeatureFlags() {
	alpha := strings.Replace(run, "spec: {", "spec: {debug: {breakpoints: {onFailure: enabled}}, ", 1)
	b.refused(validation, "debug requires", alpha)
	b.webhook.Configure(b.T, "feature-flags", map[string]string{"enable-api-fields": "alpha"})
	b.create(alpha)
}

// sees registers mutating webhooks by name, and checks which ServiceAccount
// each of them sees in a TaskRun that names none.
func (b *bed) sees(want map[string]string) {
	b.Helper()
	got := map[string]*witness{}
	for name := range want {
		got[name] = &witness{}
		b.register(name, got[name])
	}
	// Until all are asked: the API server learns of them with a delay.
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		b.create(run)
		asked := 0
		for _, w := range got {
			asked += min(1, len(w.all()))
		}
		if asked == len(want) {
			break
		}
		if time.Now().After(deadline) {
			b.Fatal("not all are asked")
		}
	}
	for name := range want {
		for _, seen := range got[name].all() {
			if seen != want[name] {
				b.Errorf("%s beside %s sees %q, want %q", name, b.webhook.Name, seen, want[name])
			}
		}
	}
}

// witness records the ServiceAccounts of what it is asked about.
type witness struct {
	mu   sync.Mutex
	seen []string
}

func (w *witness) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *witness) Handle(_ context.Context, req admission.Request) admission.Response {
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(req.Object.Raw); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, account(obj))
	return admission.Allowed("")
}

func (b *bed) register(name string, handler admission.Handler) {
	b.Helper()
	server := httptest.NewTLSServer(&admit.Webhook{Handler: handler})
	b.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	configuration := b.create(fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: %s}
webhooks:
- name: taskruns.%[1]s
  admissionReviewVersions: [v1]
  sideEffects: None
  rules: [{apiGroups: [tekton.dev], apiVersions: ["*"], resources: [taskruns], operations: [CREATE]}]
  clientConfig: {url: %s, caBundle: %s}
`, name, server.URL, base64.StdEncoding.EncodeToString(ca)))
	b.Cleanup(func() { // before its server closes
		if err := b.client.Delete(context.WithoutCancel(b.Context()), configuration); err != nil {
			b.Error(err)
		}
	})
}

func (b *bed) testStop() {
	if pids := processes(b.T, b.cluster.Kubeconfig); len(pids) != 1 {
		b.Errorf("processes %v run, want one", pids)
	}
	for range 2 {
		if err := b.webhook.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if pids := processes(b.T, b.cluster.Kubeconfig); len(pids) != 0 {
		b.Errorf("processes %v run, want none", pids)
	}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion("admissionregistration.k8s.io/v1")
		list.SetKind(kind + "List")
		if err := b.client.List(b.Context(), list); err != nil || len(list.Items) > 0 {
			b.Errorf("left are %d of kind %s, error %v", len(list.Items), kind, err)
		}
	}
}

// processes returns those that run with an argument.
func processes(t *testing.T, argument string) []int {
	t.Helper()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("needs /proc to look for processes")
	}
	pids, err := child.Find(argument)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

func TestTriggers(t *testing.T) {
	b := newBed(t, tekton.Options{Release: tekton.Triggers})
	const listener = `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {generateName: listener-}
spec: {triggers: [{bindings: [{ref: binding}], template: {ref: template}}]}
`
	b.part("defaults", func(b *bed) {
		obj := b.create(listener)
		triggers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "triggers")
		if text := fmt.Sprint(triggers); account(obj) != "default" || !strings.Contains(text, "kind:TriggerBinding") {
			b.Errorf("ServiceAccount %q, triggers %s", account(obj), text)
		}
	})
	b.part("refusals", func(b *bed) {
		const validation = "validation.webhook.triggers.tekton.dev"
		b.refused(validation, "expected exactly one, got neither: spec.labelSelector",
			strings.Replace(listener, "spec: {triggers", "spec: {serviceAccountName: x} # ", 1))
		b.refused(validation, "spec.triggers[0].template",
			strings.Replace(listener, ", template: {ref: template}", "", 1))
	})
	b.part("configuration", func(b *bed) {
		b.webhook.Configure(b.T, "config-defaults-triggers", map[string]string{"default-service-account": "listener"})
		if obj := b.create(listener); account(obj) != "listener" {
			b.Errorf("the ServiceAccount is %q", account(obj))
		}
	})
	b.part("beside Pipelines", func(b *bed) {
		tekton.Start(b.T, b.cluster, tekton.Options{})
		b.testDefaults()
		b.create(listener)
	})
	b.part("death", (*bed).testDeath)
}

// testDeath ends the process from outside: a test whose webhook is gone must
// not pass for one in which it had nothing to say.
func (b *bed) testDeath() {
	pids := processes(b.T, b.cluster.Kubeconfig)
	if len(pids) != 1 {
		b.Fatalf("processes %v run, want one", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	for range 1000 { // until it has been waited for
		time.Sleep(10 * time.Millisecond)
		if syscall.Kill(pids[0], 0) != nil {
			break
		}
	}
	time.Sleep(100 * time.Millisecond) // and that has been noted
	if err := b.webhook.Stop(b.Context()); err == nil || !strings.Contains(err.Error(), "the triggers webhook of Tekton ended by itself: signal: killed; its log:") {
		b.Errorf("stopping what is gone gives %v", err)
	}
}

func TestOptions(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	for want, o := range map[string]tekton.Options{
		`release "chains" has no webhook`:                   {Release: "chains"},
		"the webhook of Triggers cannot be called aa.x.dev": {Release: tekton.Triggers, Name: "aa.x.dev"},
	} {
		_, err := tekton.New(t.Context(), c, o, os.Stderr)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	t.Setenv(cluster.KubeconfigEnv, c.Kubeconfig)
	existing, err := cluster.New(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tekton.New(t.Context(), existing, tekton.Options{}, os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "a cluster that is in use") {
		t.Errorf("a cluster that is in use gives %v", err)
	}
}
