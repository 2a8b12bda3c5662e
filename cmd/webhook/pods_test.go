package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// inPods enforces rules about what a Pod has.
const inPods = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
validator:
  pods: true
  rules:
    image-registry: {mode: enforce}
    privileged: {mode: enforce}
    host-path: {mode: enforce}
    host-network: {mode: enforce}
    kaniko-destination: {mode: enforce}
    service-account-forbidden: {mode: enforce}
    volume-source: {mode: enforce}
  policy:
    images: {allowed: ['registry.example.com/**']}
    security:
      accounts: {allowed: [default, builder]}
      builds: {destinations: ['registry.example.com/**']}
      sources: {kinds: [emptyDir]}
`

// TestPods creates Pods as Tekton's controller does for TaskRuns, against the webhook
// configurations as they are shipped.
func TestPods(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-pipelinerun.yaml", "config/300-crds/300-task.yaml")
	b.create(b.parse(leaseText))
	b.start()
	b.configure()
	b.enforce(strings.Replace(inPods, "pods: true", "pods: false", 1))
	b.create(clusterRole("edits", "*", "*", "*"))
	tenant, controller := b.user("tenant"), b.controller()
	b.testPodsOff(controller)
	b.enforce(inPods)
	b.eventually("Pods are judged", func() error {
		err := controller.Create(b.Context(), b.pod(nil, "probe", podOf("evil.example.com/a:1")), client.DryRunAll)
		if err == nil {
			return errors.New("a forbidden image is not refused")
		}
		return nil
	})
	b.Run("findings", func(t *testing.T) { b.on(t).testPodFindings(tenant, controller) })
	b.Run("of others", func(t *testing.T) { b.on(t).testPodOthers(controller) })
	b.Run("exceptions", func(t *testing.T) { b.on(t).testPodExceptions(tenant, controller) })
}

// podOf is what Tekton makes of a Task with one step.
func podOf(image string) string {
	return fmt.Sprintf(`
  serviceAccountName: builder
  initContainers:
  - {name: prepare, image: "ghcr.io/tektoncd/entrypoint:v1", command: [/ko-app/entrypoint, init]}
  - {name: place-scripts, image: "cgr.dev/chainguard/busybox:latest", command: [sh]}
  containers:
  - name: step-build
    image: %q
    command: [/tekton/bin/entrypoint]
    args: [-wait_file, /tekton/downward/ready, -entrypoint, /kaniko/executor, --, --destination=registry.example.com/app:1]
  volumes:
  - {name: tekton-internal-workspace, emptyDir: {}}
`, image)
}

// pod returns a Pod of a TaskRun, with its annotations.
func (b *bed) pod(owner *unstructured.Unstructured, name, spec string) *unstructured.Unstructured {
	b.Helper()
	pod := b.parse(fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: ci, labels: {tekton.dev/taskRun: a}}\nspec: %s",
		name, spec))
	if owner != nil {
		yes := true
		pod.SetAnnotations(owner.GetAnnotations())
		pod.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "tekton.dev/v1", Kind: "TaskRun",
			Name: owner.GetName(), UID: owner.GetUID(), Controller: &yes}})
	}
	return pod
}

// testPodsOff holds that the server is not asked about Pods unless the configuration says so.
func (b *bed) testPodsOff(controller client.Client) {
	b.eventually("the condition keeps Pods away", func() error {
		if expression := b.kept()[wellknown.ValidatePods]; expression != "false" {
			return fmt.Errorf("it is %s", expression)
		}
		return nil
	})
	b.eventually("the server is not asked about Pods", func() error {
		before := b.requests("/validate")
		pod := b.pod(nil, "quiet", podOf("evil.example.com/a:1"))
		if err := controller.Create(b.Context(), pod, client.DryRunAll); err != nil {
			b.Fatal(err)
		}
		if after := b.requests("/validate"); after != before {
			return fmt.Errorf("it was asked %v times", after-before)
		}
		return nil
	})
}

func (b *bed) testPodFindings(tenant, controller client.Client) {
	good := podOf("registry.example.com/a:1")
	if err := controller.Create(b.Context(), b.pod(nil, "good", good), client.DryRunAll); err != nil {
		b.Errorf("an allowed image: %v", err)
	}
	replace := func(old, with string) string {
		b.Helper()
		if !strings.Contains(good, old) {
			b.Fatalf("the Pod has no %q", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	const container = "  containers:\n"
	for name, is := range map[string]struct{ spec, rule, path string }{
		"image":      {podOf("evil.example.com/a:1"), "image-registry", "spec.containers[0].image"},
		"privileged": {replace(container, container+"  - {name: step-p, image: registry.example.com/a, securityContext: {privileged: true}}\n"), "privileged", "spec.containers[0].securityContext.privileged"},
		"sidecar":    {replace(container, container+"  - {name: sidecar-s, image: evil.example.com/a}\n"), "image-registry", "spec.containers[0].image"},
		"native": {replace(container, "  - {name: sidecar-s, image: evil.example.com/a, restartPolicy: Always}\n"+container),
			"image-registry", "spec.initContainers[2].image"},
		"volume":      {replace("emptyDir: {}", "hostPath: {path: /}"), "host-path", "spec.volumes[0].hostPath"},
		"network":     {replace(container, "  hostNetwork: true\n"+container), "host-network", "spec.hostNetwork"},
		"account":     {replace("builder", "deployer"), "service-account-forbidden", "spec.serviceAccountName"},
		"destination": {replace("--destination=registry.", "--destination=evil."), "kaniko-destination", "spec.containers[0].args"},
	} {
		b.wantFailure(name, controller.Create(b.Context(), b.pod(nil, "bad", is.spec)), "this Pod was refused",
			is.path+": ", "rule "+is.rule)
	}
	err := tenant.Create(b.Context(), b.pod(nil, "bad", podOf("evil.example.com/a:1")))
	if !apierrors.IsForbidden(err) {
		b.Errorf("a labelled Pod of a tenant: %v", err)
	}
}

// testPodOthers holds that what is not a Task's is left alone.
func (b *bed) testPodOthers(controller client.Client) {
	spec := podOf("registry.example.com/a:1")
	spec = strings.Replace(spec, "  containers:\n", `  - {name: istio-init, image: docker.io/istio/proxyv2, securityContext: {privileged: true}}
  containers:
  - {name: sidecar-tekton-log-results, image: "ghcr.io/tektoncd/results:v1"}
`, 1)
	spec += "  - {name: kube-api-access-x, secret: {secretName: a}}\n"
	if err := controller.Create(b.Context(), b.pod(nil, "others", spec), client.DryRunAll); err != nil {
		b.Errorf("containers of Tekton and others: %v", err)
	}
	plain := b.pod(nil, "plain", podOf("evil.example.com/a:1"))
	plain.SetLabels(nil)
	if err := controller.Create(b.Context(), plain, client.DryRunAll); err != nil {
		b.Errorf("a Pod that is not a TaskRun's: %v", err)
	}
}

const fetchedTask = "taskRef: {resolver: git, params: [{name: url, value: 'https://git.example.com/a'}, {name: pathInRepo, value: a.yaml}, {name: revision, value: v1}]}"

// testPodExceptions has exceptions come from authors of the namespace, and from a Task that
// a resolver fetched.
func (b *bed) testPodExceptions(tenant, controller client.Client) {
	evilPod := podOf("evil.example.com/a:1")
	const key = "except.tekgate.dev/image-registry"
	merge := func(run *unstructured.Unstructured) {
		annotations := run.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = "2126-01-01 a reason"
		run.SetAnnotations(annotations)
	}
	allowed := func(what string, run *unstructured.Unstructured) {
		b.Helper()
		if err := controller.Create(b.Context(), b.pod(run, "excepted", evilPod), client.DryRunAll); err != nil {
			b.Errorf("%s: %v", what, err)
		}
	}
	refused := func(what string, run *unstructured.Unstructured) {
		b.Helper()
		b.wantFailure(what, controller.Create(b.Context(), b.pod(run, "excepted", evilPod), client.DryRunAll),
			"rule image-registry")
	}
	authored := b.taskRun(tenant, "authored", fromRegistry, fetchedTask)
	b.writeStatus(controller, authored)
	allowed("an exception of the author, with a fetched Task", authored)
	fetched := b.taskRun(tenant, "fetched", "", fetchedTask)
	merge(fetched)
	refused("an exception of the fetched Task, before it is merged", fetched)
	if err := controller.Update(b.Context(), fetched); err != nil {
		b.Fatal(err)
	}
	refused("an exception of the fetched Task, before the first status", fetched)
	b.writeStatus(controller, fetched)
	merge(fetched)
	if err := controller.Update(b.Context(), fetched); err != nil {
		b.Fatal(err)
	}
	refused("an exception of the fetched Task", fetched)

	task := b.parse("{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: local, namespace: ci, annotations: {" + fromRegistry +
		"}}, spec: {steps: [{name: s, image: registry.example.com/a}]}}")
	if err := tenant.Create(b.Context(), task); err != nil {
		b.Fatal(err)
	}
	local := b.taskRun(tenant, "local", "", "taskRef: {name: local}")
	merge(local)
	allowed("an exception of the Task of the namespace", local)

	owner := b.pipelineRun(tenant, "owner", fromRegistry, resultImage)
	child := b.child(owner, "owner-use", fetchedTask)
	if err := controller.Create(b.Context(), child); err != nil {
		b.Fatal(err)
	}
	allowed("an exception of the PipelineRun's author, with a fetched Task", child)
	bare := b.pipelineRun(tenant, "bare", "", resultImage)
	child = b.child(bare, "bare-use", fetchedTask)
	if err := controller.Create(b.Context(), child); err != nil {
		b.Fatal(err)
	}
	merge(child)
	refused("an exception of the fetched Task, in a PipelineRun", child)

	forged := fetched.DeepCopy()
	forged.SetUID("other")
	refused("an exception of no TaskRun", forged)
}

// taskRun creates a TaskRun of the tenant, and returns it.
func (b *bed) taskRun(tenant client.Client, name, annotation, spec string) *unstructured.Unstructured {
	b.Helper()
	run := b.parse(fmt.Sprintf("{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: %s, namespace: ci, annotations: {%s}}, spec: {%s}}",
		name, annotation, spec))
	if err := tenant.Create(b.Context(), run, client.FieldOwner("tenant")); err != nil {
		b.Fatal(err)
	}
	return run
}
