package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestAdmission starts one API server and goes through what happens in a
// cluster, in the order in which it does.
func TestAdmission(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	before := b.parse(kaniko("before", "v1"))
	b.create(before)
	b.Run("rotation that nobody is told of", func(t *testing.T) { b.on(t).testUnpublished() })
	b.Run("a CA that expires", func(t *testing.T) { b.on(t).testExpiring() })
	b.configure()
	b.create(account("ci"))

	b.Run("before and after", func(t *testing.T) { b.on(t).testBefore(before) })
	b.Run("created", func(t *testing.T) { b.on(t).testCreated() })
	b.Run("a ServiceAccount created a moment ago", func(t *testing.T) { b.on(t).testNewAccounts() })
	b.Run("no ServiceAccount", func(t *testing.T) { b.on(t).testNoAccount() })
	b.Run("updates", func(t *testing.T) { b.on(t).testUpdates() })
	b.Run("EventListener", func(t *testing.T) { b.on(t).testEventListener() })
	b.Run("direct", func(t *testing.T) { b.on(t).testDirect() })
	b.Run("unverified callers", func(t *testing.T) { b.on(t).testUnverified() })
	b.Run("injection", func(t *testing.T) { b.on(t).testInjection() })
	b.Run("trust", func(t *testing.T) { b.on(t).testTrust() })
	b.Run("rotation", func(t *testing.T) { b.on(t).testRotation() })
	b.Run("configuration", func(t *testing.T) { b.on(t).testConfiguration() })
	b.Run("another webhook after it", func(t *testing.T) { b.on(t).testSecondAfter() })
	b.Run("another webhook before it", func(t *testing.T) { b.on(t).testSecondBefore() })
	b.Run("drain", func(t *testing.T) { b.on(t).testDrain() })
	if text := b.logs.String(); strings.Contains(text, "kaniko-project") || strings.Contains(text, "panic") {
		t.Errorf("the server's log tells too much:\n%s", text)
	}
}

// on returns b for a part of the test.
func (b *bed) on(t *testing.T) *bed {
	part := *b
	part.T = t
	return &part
}

func kaniko(name, version string) string {
	return fmt.Sprintf(`
apiVersion: tekton.dev/%s
kind: TaskRun
metadata: {name: %s, namespace: ci}
spec:
  taskSpec:
    steps:
    - {name: fetch, image: alpine/git}
    - {name: build, image: "gcr.io/kaniko-project/executor:v1.24.0", args: [--no-push]}
`, version, name)
}

func account(namespace string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "builder"},
		Secrets:    []corev1.ObjectReference{{Name: "registry"}},
	}
}

// environment returns the variables of all steps, one name=value per line.
func environment(run *unstructured.Unstructured) string {
	var lines []string
	steps, _, _ := unstructured.NestedSlice(run.Object, "spec", "taskSpec", "steps")
	for _, step := range steps {
		env, _ := step.(map[string]any)["env"].([]any)
		for _, entry := range env {
			lines = append(lines, fmt.Sprintf("%v=%v", entry.(map[string]any)["name"], entry.(map[string]any)["value"]))
		}
	}
	return strings.Join(lines, "\n")
}

func accountOf(run *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(run.Object, "spec", "serviceAccountName")
	return name
}

// is fails unless the rules have done to a TaskRun what they ought to, once.
func (b *bed) is(run *unstructured.Unstructured, env, account string) {
	b.Helper()
	if environment(run) != env || accountOf(run) != account {
		b.Errorf("%s has the variables %q and the ServiceAccount %q, want %q and %q",
			run.GetName(), environment(run), accountOf(run), env, account)
	}
}

const injected = "DOCKER_CONFIG=/tekton/creds/.docker"

func (b *bed) testBefore(before *unstructured.Unstructured) {
	b.is(before, "", "")
	before.SetLabels(map[string]string{"a": "b"})
	if err := b.client.Update(b.Context(), before); err != nil {
		b.Fatal(err)
	}
	b.is(before, "", "")
}

func (b *bed) testCreated() {
	for _, version := range []string{"v1", "v1beta1"} {
		run := b.parse(kaniko("created-"+version, version))
		b.create(run)
		b.is(run, injected, "builder")

		again := b.parse(kaniko("again-"+version, version))
		b.create(again, client.DryRunAll)
		b.is(again, injected, "builder")

		// What was stored, created anew, is the second pass.
		run.SetName("copy-" + version)
		run.SetResourceVersion("")
		run.SetUID("")
		b.create(run)
		b.is(run, injected, "builder")
	}
	run := b.parse(kaniko("x", "v1"))
	run.SetName("")
	run.SetGenerateName("generated-")
	b.create(run)
	b.is(run, injected, "builder")
}

// testNewAccounts leaves the cache no time.
func (b *bed) testNewAccounts() {
	for i := range 10 {
		namespace := fmt.Sprintf("new-%d", i)
		b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		b.create(account(namespace))
		run := b.parse(kaniko("run", "v1"))
		run.SetNamespace(namespace)
		b.create(run)
		b.is(run, injected, "builder")
	}
}

func (b *bed) testNoAccount() {
	run := b.parse(kaniko("run", "v1"))
	run.SetNamespace("other")
	b.create(run)
	b.is(run, injected, "")
}

func (b *bed) testUpdates() {
	run := b.parse(kaniko("updated", "v1"))
	b.create(run)
	if err := unstructured.SetNestedField(run.Object, "Cancelled", "status", "podName"); err != nil {
		b.Fatal(err)
	}
	if err := b.client.Status().Update(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	// Whatever an update says stands: the rules are for creations.
	if err := unstructured.SetNestedField(run.Object, "other", "spec", "serviceAccountName"); err != nil {
		b.Fatal(err)
	}
	if err := b.client.Update(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	b.is(run, injected, "other")
	if err := unstructured.SetNestedSlice(run.Object,
		[]any{map[string]any{"name": "build", "image": "gcr.io/kaniko-project/executor:v1.24.0"}}, "spec", "taskSpec",
		"steps"); err != nil {
		b.Fatal(err)
	}
	if err := b.client.Update(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	b.is(run, "", "other")
}

const listener = `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: git-listener, namespace: ci}
spec:
  triggers:
  - name: git-trigger1
    bindings: [{ref: git-binding}]
    template: {ref: git-template}
`

func (b *bed) testEventListener() {
	err := b.client.Create(b.Context(), b.parse(listener))
	for _, part := range []string{
		"admission webhook \"triggers.validate.tekgate.dev\" denied the request: this EventListener was refused:\n- ",
		`spec.triggers[0].bindings[0].ref: TriggerBinding "git-binding" does not exist in namespace "ci"`,
		`spec.triggers[0].template.ref: TriggerTemplate "git-template" does not exist`,
	} {
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), part) {
			b.Fatalf("got error %v, want %q", err, part)
		}
	}
	for _, object := range []string{
		"{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerBinding, metadata: {name: git-binding, namespace: ci}, spec: {params: []}}",
		"{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerTemplate, metadata: {name: git-template, namespace: ci}, spec: {resourcetemplates: []}}",
	} {
		b.create(b.parse(object))
	}
	live := b.parse(listener)
	b.create(live)
	b.testEventListenerUpdates(live)
}

func (b *bed) testEventListenerUpdates(live *unstructured.Unstructured) {
	update := func(edit func()) error {
		b.get(live)
		edit()
		return b.client.Update(b.Context(), live)
	}
	misspell := func() {
		trigger := live.Object["spec"].(map[string]any)["triggers"].([]any)[0].(map[string]any)
		trigger["template"] = map[string]any{"ref": "git-tmplate"}
	}
	if err := update(misspell); err == nil || !strings.Contains(err.Error(), `did you mean "git-template"?`) {
		b.Errorf("a misspelt template gives %v", err)
	}
	binding := b.parse(
		"{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerBinding, metadata: {name: git-binding, namespace: ci}}")
	if err := b.client.Delete(b.Context(), binding); err != nil {
		b.Fatal(err)
	}
	if err := update(func() { live.SetFinalizers([]string{"example.com/f"}) }); err != nil {
		b.Errorf("a finalizer gives %v", err)
	}
	if err := b.client.Delete(b.Context(), live); err != nil {
		b.Errorf("deleting gives %v", err)
	}
	if err := update(func() { live.SetFinalizers(nil) }); err != nil {
		b.Errorf("removing the finalizer gives %v", err)
	}
	v1alpha1 := b.parse(strings.Replace(listener, "v1beta1", "v1alpha1", 1))
	if err := b.client.Create(b.Context(), v1alpha1); err == nil ||
		!strings.Contains(err.Error(), `"git-binding" does not exist`) {
		b.Errorf("v1alpha1 gives %v", err)
	}
}

// testDirect speaks to the server as no API server does.
func (b *bed) testDirect() {
	caller := b.https()
	for body, want := range map[string]int{"": 400, "null": 400, "[]": 400, "\x00garbage": 400,
		strings.Repeat(" ", 8<<20): 413,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","object":null,` +
			`"kind":{"group":"tekton.dev","version":"v1","kind":"TaskRun"}}}`: 200} {
		for _, path := range []string{"/mutate", "/validate"} {
			res, err := caller.Post("https://"+b.address+path, "application/json", strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want || res.ProtoMajor != 1 {
				b.Errorf("%.40q at %s gives %s over %s, want %d", body, path, res.Status, res.Proto, want)
			}
		}
	}
}

// testInjection overwrites the CA, as a GitOps tool would that knows no better.
func (b *bed) testInjection() {
	configuration := b.parse(
		"{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: mutate.tekgate.dev}}")
	b.get(configuration)
	hook := configuration.Object["webhooks"].([]any)[0].(map[string]any)
	right := hook["clientConfig"].(map[string]any)["caBundle"].(string)
	delete(hook["clientConfig"].(map[string]any), "caBundle")
	if err := b.client.Update(b.Context(), configuration); err != nil {
		b.Fatal(err)
	}
	b.eventually("the CA is back", func() error {
		b.get(configuration)
		client := configuration.Object["webhooks"].([]any)[0].(map[string]any)["clientConfig"].(map[string]any)
		if client["caBundle"] != right {
			return fmt.Errorf("the caBundle is %v", client["caBundle"])
		}
		return nil
	})
}

// testSecondAfter is the order of a cluster: Tekton's own webhook is called
// after ours and changes the object, so ours is called once more.
func (b *bed) testSecondAfter() {
	b.second("zz.example.dev")
	calls := b.requests("/mutate")
	run := b.parse(kaniko("reinvoked", "v1"))
	b.create(run)
	b.is(run, injected, "builder")
	if again := b.requests("/mutate") - calls; again != 2 {
		b.Errorf("the server was asked %v times for one creation, want 2", again)
	}
}

// testSecondBefore is the other order: by then a ServiceAccount is named.
func (b *bed) testSecondBefore() {
	b.second("aa.example.dev")
	run := b.parse(kaniko("second", "v1"))
	b.create(run)
	b.is(run, injected, "default")
}

// testDrain sends the first signal: the server is not ready at once, goes on
// serving for a while, and ends without an error.
func (b *bed) testDrain() {
	caller := b.https()
	b.stop()
	b.eventually("the probe says that the server drains", func() error {
		if err := b.server.Ready(b.Context()); err == nil ||
			!strings.Contains(err.Error(), "500 Internal Server Error") {
			return fmt.Errorf("it gives %w", err)
		}
		return nil
	})
	res, err := caller.Post("https://"+b.address+"/mutate", "application/json",
		strings.NewReader(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u"}}`))
	if err != nil {
		b.Fatalf("right after the signal: %v", err)
	}
	defer res.Body.Close()
	var review struct{ Response struct{ Allowed bool } }
	if err := json.NewDecoder(res.Body).Decode(&review); err != nil || !review.Response.Allowed || !res.Close {
		b.Errorf("right after the signal: error %v, allowed %v, connection to be closed %v", err,
			review.Response.Allowed, res.Close)
	}
	b.stops()
}

func ca64(pem []byte) string { return base64.StdEncoding.EncodeToString(pem) }
