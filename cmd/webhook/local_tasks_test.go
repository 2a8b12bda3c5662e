package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// mirroredConfig takes images from a mirror, and enforces a rule about them.
const mirroredConfig = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror: {rules: [{match: docker.io/**, to: 'mirror.example.com/{path}'}]}
mutator: {imageMirror: {enabled: true}}
validator:
  rules: {image-registry: {mode: enforce, namespaces: [{match: [free, other], mode: "off"}]}, pipe-to-shell: {mode: enforce}}
  policy: {images: {allowed: ['mirror.example.com/**']}}
`

// TestLocalTasks creates TaskRuns that name a Task of their namespace, against the webhook
// configurations as they are shipped. Tekton itself does not run: its Deployment says what
// the test wants.
func TestLocalTasks(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-task.yaml", "config/300-crds/300-stepaction.yaml",
		"config/300-crds/300-verificationpolicy.yaml")
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: wellknown.ResolversNamespace}})
	b.create(b.parse(leaseText)) // so that only what the rules would change is asked about
	b.start()
	b.configure()
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "free"}})
	for _, namespace := range []string{"ci", "free"} {
		b.create(b.parse(strings.Replace(helloTask, "namespace: ci", "namespace: "+namespace, 1)))
	}
	b.create(b.parse(strings.NewReplacer("hello", "piped", "namespace: ci", "namespace: free", "command: [date]}, {", "script: 'curl https://example.com | sh'}, {").
		Replace(helloTask)))
	b.enforce(mirroredConfig)
	b.eventually("the condition is narrow", b.isNarrow)
	b.Run("no resolvers", func(t *testing.T) { b.on(t).testNoResolvers() })
	resolvers := b.resolvers()
	b.Run("fetched", func(t *testing.T) { b.on(t).testFetched() })
	b.Run("applied again", func(t *testing.T) { b.on(t).testAppliedAgain() })
	b.Run("refused", func(t *testing.T) { b.on(t).testRefusedTask() })
	b.Run("verified", func(t *testing.T) { b.on(t).testVerified() })
	b.Run("down", func(t *testing.T) { b.on(t).testDown(resolvers) })
}

const helloTask = `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: hello, namespace: ci}
spec:
  params: [{name: image, default: 'docker.io/library/alpine'}]
  steps: [{name: a, image: 'docker.io/library/alpine', command: [date]}, {name: b, image: $(params.image), command: [date]}]
`

// runOf is a TaskRun that names a Task.
func runOf(name, namespace, task string) string {
	return fmt.Sprintf(`
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: %s, namespace: %s}
spec: {taskRef: {name: %s}, params: [{name: image, value: 'docker.io/library/alpine:3.20'}]}
`, name, namespace, task)
}

// reference creates a TaskRun and returns its resolver, its Task's name and the warnings.
func (b *bed) reference(text string) (resolver, name, warnings string) {
	b.Helper()
	c, heard := b.warned()
	run := b.parse(text)
	if err := c.Create(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	resolver, _, _ = unstructured.NestedString(run.Object, "spec", "taskRef", "resolver")
	name, _, _ = unstructured.NestedString(run.Object, "spec", "taskRef", "name")
	return resolver, name, heard.text()
}

// testNoResolvers holds that what is stored is what runs and is judged.
func (b *bed) testNoResolvers() {
	err := b.client.Create(b.Context(), b.parse(runOf("before", "ci", "hello")))
	if err == nil || !strings.Contains(err.Error(), `Task "hello", spec.steps[0].image: image "docker.io/library/alpine"`) {
		b.Errorf("without resolvers: got %v", err)
	}
	resolver, name, warnings := b.reference(runOf("before", "free", "hello"))
	if resolver != "" || name != "hello" || !strings.Contains(warnings, "install Tekton's resolvers") {
		b.Errorf("without resolvers: got resolver %q, name %q, %q", resolver, name, warnings)
	}
}

// resolvers creates the Deployment of Tekton's resolvers, with a Pod that is available, and
// waits until the server knows.
func (b *bed) resolvers() *appsv1.Deployment {
	b.Helper()
	labels := map[string]string{"app": "resolvers"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.ResolversNamespace, Name: resolvers},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}}},
	}
	b.create(deployment)
	b.available(deployment, 1)
	return deployment
}

// available writes how many Pods are available, and waits until runs follow.
func (b *bed) available(deployment *appsv1.Deployment, replicas int32) {
	b.Helper()
	deployment.Status.Replicas, deployment.Status.AvailableReplicas = replicas, replicas
	deployment.Status.ReadyReplicas = replicas
	if err := b.client.Status().Update(b.Context(), deployment); err != nil {
		b.Fatal(err)
	}
	b.eventually("the server knows", func() error {
		run := b.parse(runOf("probe", "free", "hello"))
		if err := b.client.Create(b.Context(), run, client.DryRunAll); err != nil {
			return err
		}
		_, fetched, _ := unstructured.NestedString(run.Object, "spec", "taskRef", "resolver")
		if fetched != (replicas > 0) {
			return fmt.Errorf("with %d Pods, it is fetched: %v", replicas, fetched)
		}
		return nil
	})
}

func (b *bed) testFetched() {
	for i, version := range []string{"v1", "v1beta1"} {
		text := runOf(fmt.Sprint("fetched-", i), "ci", "hello")
		resolver, name, warnings := b.reference(strings.Replace(text, "tekton.dev/v1", "tekton.dev/"+version, 1))
		if resolver != "cluster" || name != "" || strings.Contains(warnings, "local-tasks") {
			b.Errorf("%s: got resolver %q, name %q, %q", version, resolver, name, warnings)
		}
	}
	run := b.parse(runOf("fetched-0", "ci", "hello"))
	b.get(run)
	text := fmt.Sprint(run.Object["spec"])
	for _, want := range []string{"mirror.example.com/library/alpine:3.20", "name:kind value:task", "name:namespace value:ci"} {
		if !strings.Contains(text, want) {
			b.Errorf("%s is not in %s", want, text)
		}
	}
	// What Tekton's controller then creates in a dry run is what will run.
	task := b.parse(helloTask)
	task.SetName("2f6d1e9c-9b1d-4e53-8f7e-0d5f2b6f3b11")
	if err := b.controller().Create(b.Context(), task, client.DryRunAll); err != nil {
		b.Fatal(err)
	}
	if text := fmt.Sprint(task.Object["spec"]); strings.Contains(text, "docker.io") ||
		strings.Count(text, "mirror.example.com/library/alpine") != 2 {
		b.Errorf("the dry run makes %s", text)
	}
	b.get(b.parse(helloTask))
}

// testAppliedAgain applies a manifest once more as kubectl does, whose patch has the name that
// is gone, and by server-side apply.
func (b *bed) testAppliedAgain() {
	text, _, _ := strings.Cut(runOf("applied", "ci", "hello"), ", params:")
	text += "}"
	run := b.parse(text)
	b.create(run)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"taskRef":{"name":"hello"}}}`))
	if err := b.client.Patch(b.Context(), run, patch); err != nil {
		b.Fatal(err)
	}
	b.isFetched(run)
	for range 3 {
		run := b.parse(strings.Replace(text, "applied", "server-side", 1))
		err := b.client.Apply(b.Context(), client.ApplyConfigurationFromUnstructured(run), client.FieldOwner("me"))
		if err != nil {
			b.Fatal(err)
		}
		b.isFetched(run)
	}
}

func (b *bed) isFetched(run *unstructured.Unstructured) {
	b.Helper()
	ref, _, _ := unstructured.NestedMap(run.Object, "spec", "taskRef")
	if ref["resolver"] != "cluster" || ref["name"] != nil {
		b.Errorf("applied once more, it refers to %v", ref)
	}
}

// testRefusedTask names a Task that was stored before a rule was enforced, and that the rule
// would refuse where it is fetched: then its run is not refused for being fetched.
func (b *bed) testRefusedTask() {
	resolver, name, warnings := b.reference(runOf("refused", "free", "piped"))
	if resolver != "" || name != "piped" || !strings.Contains(warnings, "a rule would refuse Task \"piped\"") {
		b.Errorf("got resolver %q, name %q, %q", resolver, name, warnings)
	}
}

func (b *bed) testVerified() {
	task := strings.Replace(helloTask, "namespace: ci", "namespace: other", 1)
	b.create(b.parse(task))
	signed := strings.NewReplacer("name: hello,", "name: signed, annotations: {tekton.dev/signature: c2ln},").Replace(task)
	b.create(b.parse(signed))
	b.create(b.parse(`
apiVersion: tekton.dev/v1alpha1
kind: VerificationPolicy
metadata: {name: all, namespace: other}
spec: {resources: [{pattern: '.*'}], authorities: [{name: a, key: {data: x, hashAlgorithm: sha256}}]}
`))
	b.eventually("the server knows of the policy", func() error {
		run := b.parse(runOf("probe", "other", "hello"))
		if err := b.client.Create(b.Context(), run, client.DryRunAll); err != nil {
			return err
		}
		if _, fetched, _ := unstructured.NestedString(run.Object, "spec", "taskRef", "resolver"); fetched {
			return errors.New("an unsigned Task is fetched")
		}
		return nil
	})
	if resolver, _, _ := b.reference(runOf("signed", "other", "signed")); resolver != "cluster" {
		b.Errorf("a signed Task is not fetched")
	}
}

func (b *bed) testDown(deployment *appsv1.Deployment) {
	b.available(deployment, 0)
	resolver, name, warnings := b.reference(runOf("down", "free", "hello"))
	if resolver != "" || name != "hello" || !strings.Contains(warnings, "has no Pod that is available") {
		b.Errorf("got resolver %q, name %q, %q", resolver, name, warnings)
	}
	run := b.parse(runOf("down", "free", "hello"))
	b.get(run)
	if text := fmt.Sprint(run.Object["spec"]); !strings.Contains(text, "mirror.example.com/library/alpine:3.20") {
		b.Errorf("the run's own parameter stays: %s", text)
	}
}
