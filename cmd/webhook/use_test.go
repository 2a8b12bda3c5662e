package main

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// atUse enforces two rules, and warns of privileged steps.
const atUse = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
validator:
  rules:
    image-registry: {mode: enforce}
    host-path: {mode: enforce, exceptions: authorized}
    pipe-to-shell: {mode: enforce}
  policy: {images: {allowed: ['registry.example.com/**']}}
`

// TestAtUse creates TaskRuns as Tekton's controller does for PipelineRuns, against the
// webhook configurations as they are shipped.
func TestAtUse(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-pipelinerun.yaml", "config/300-crds/300-task.yaml")
	b.start()
	b.configure()
	b.enforce(atUse)
	b.create(clusterRole("edits", "tekton.dev", "*", "*"))
	tenant, controller := b.user("tenant"), b.controller()
	b.Run("values", func(t *testing.T) { b.on(t).testFinalValues(tenant, controller) })
	b.Run("the Task of a run", func(t *testing.T) { b.on(t).testTaskOfRun(tenant, controller) })
	b.Run("exceptions", func(t *testing.T) { b.on(t).testInherited(tenant, controller) })
	b.Run("unauthorized exceptions", func(t *testing.T) { b.on(t).testUnauthorized(tenant) })
}

// pipelineRun creates a PipelineRun of the tenant, and returns it.
func (b *bed) pipelineRun(tenant client.Client, name, annotation, spec string) *unstructured.Unstructured {
	b.Helper()
	run := b.parse(fmt.Sprintf(`
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: %s, namespace: ci, annotations: {%s}}
spec: {%s}
`, name, annotation, spec))
	if err := tenant.Create(b.Context(), run, client.FieldOwner("tenant")); err != nil {
		b.Fatal(err)
	}
	return run
}

// child returns a TaskRun of a PipelineRun, which inherits its annotations.
func (b *bed) child(owner *unstructured.Unstructured, name, spec string) *unstructured.Unstructured {
	b.Helper()
	run := b.parse(fmt.Sprintf(`
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: %s, namespace: ci}
spec: {%s}
`, name, spec))
	yes := true
	run.SetAnnotations(owner.GetAnnotations())
	run.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "tekton.dev/v1", Kind: "PipelineRun",
		Name: owner.GetName(), UID: owner.GetUID(), Controller: &yes}})
	return run
}

// wantFailure holds that Tekton's controller fails the PipelineRun at once, with a message
// that says why.
func (b *bed) wantFailure(what string, err error, texts ...string) {
	b.Helper()
	if !apierrors.IsBadRequest(err) {
		b.Errorf("%s: got %v, want a bad request, which the controller does not repeat", what, err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			b.Errorf("%s: the message has no %q: %v", what, text, err)
		}
	}
}

// resultImage is a pipeline whose second task runs an image that the first one names.
const resultImage = `pipelineSpec: {tasks: [{name: pick, taskSpec: {results: [{name: image}], steps: [{image: "registry.example.com/a:1"}]}},
  {name: use, params: [{name: from, value: $(tasks.pick.results.image)}], taskSpec: {params: [{name: from}], steps: [{image: $(params.from)}]}}]}`

const evil = `params: [{name: from, value: "evil.example.com/a:1"}], taskSpec: {params: [{name: from}], steps: [{name: s, image: $(params.from)}]}`

// testFinalValues gives an image by a result, which nobody knows when the PipelineRun is
// created.
func (b *bed) testFinalValues(tenant, controller client.Client) {
	run := b.pipelineRun(tenant, "values", "", resultImage)
	b.wantFailure("an image from a result", controller.Create(b.Context(), b.child(run, "values-use", evil)),
		"rule image-registry", "evil.example.com/a:1", "spec.taskSpec.steps[0].image")
	good := strings.Replace(evil, "evil.", "registry.", 1)
	if err := controller.Create(b.Context(), b.child(run, "values-good", good)); err != nil {
		b.Errorf("an allowed image from a result: %v", err)
	}
	style := `taskSpec: {steps: [{name: s, image: "registry.example.com/a:1", script: "curl https://x.example.com | sh"}]}`
	if err := controller.Create(b.Context(), b.child(run, "values-style", style)); err != nil {
		b.Errorf("a rule about what authors write: %v", err)
	}
	if err := tenant.Create(b.Context(), b.child(run, "values-tenant", style)); !apierrors.IsForbidden(err) {
		b.Errorf("the same by a tenant who names an owner: %v", err)
	}
}

// testTaskOfRun names a Task whose image is a param.
func (b *bed) testTaskOfRun(tenant, controller client.Client) {
	task := b.parse(`
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: any, namespace: ci}
spec: {params: [{name: tool}], steps: [{name: s, image: $(params.tool)}]}
`)
	if err := tenant.Create(b.Context(), task); err != nil {
		b.Fatal(err)
	}
	run := b.pipelineRun(tenant, "named", "", "pipelineRef: {name: any}")
	for _, ref := range []string{`taskRef: {name: any}`,
		`taskRef: {resolver: cluster, params: [{name: kind, value: task}, {name: name, value: any}, {name: namespace, value: ci}]}`} {
		spec := ref + `, params: [{name: tool, value: "evil.example.com/a:1"}]`
		b.wantFailure(ref, controller.Create(b.Context(), b.child(run, "named-use", spec)),
			`Task "any", spec.steps[0].image`, "rule image-registry")
		alone := b.child(run, "named-alone", spec)
		alone.SetOwnerReferences(nil)
		if err := tenant.Create(b.Context(), alone); !apierrors.IsForbidden(err) {
			b.Errorf("a TaskRun with %s: %v", ref, err)
		}
		good := b.child(run, "named-good", strings.Replace(spec, "evil.", "registry.", 1))
		if err := controller.Create(b.Context(), good, client.DryRunAll); err != nil {
			b.Errorf("an allowed image, %s: %v", ref, err)
		}
	}
}

const fromRegistry = `except.tekgate.dev/image-registry: "2126-01-01 a reason"`

// testInherited has an exception come from the author of a PipelineRun, and from a Pipeline
// that a resolver fetched.
func (b *bed) testInherited(tenant, controller client.Client) {
	own := b.pipelineRun(tenant, "own", fromRegistry, resultImage)
	if err := controller.Create(b.Context(), b.child(own, "own-use", evil)); err != nil {
		b.Errorf("an exception of the author: %v", err)
	}
	const fetched = "pipelineRef: {resolver: git, params: [{name: url, value: 'https://git.example.com/a'}, {name: pathInRepo, value: a.yaml}, {name: revision, value: v1}]}"
	authored := b.pipelineRun(tenant, "authored", fromRegistry, fetched)
	if err := controller.Create(b.Context(), b.child(authored, "authored-use", evil)); err != nil {
		b.Errorf("an exception of the author, with a fetched Pipeline: %v", err)
	}
	merged := b.pipelineRun(tenant, "merged", "", fetched)
	b.writeStatus(controller, merged)
	merged.SetAnnotations(map[string]string{"except.tekgate.dev/image-registry": "2126-01-01 a reason"})
	b.wantFailure("an exception of the fetched Pipeline, before it is merged",
		controller.Create(b.Context(), b.child(merged, "merged-early", evil)), "rule image-registry")
	if err := controller.Update(b.Context(), merged); err != nil {
		b.Fatal(err)
	}
	b.wantFailure("an exception of the fetched Pipeline",
		controller.Create(b.Context(), b.child(merged, "merged-use", evil)), "rule image-registry")
	forged := b.child(own, "forged-use", evil)
	owners := forged.GetOwnerReferences()
	owners[0].Name = "gone"
	forged.SetOwnerReferences(owners)
	b.wantFailure("an exception of no PipelineRun", controller.Create(b.Context(), forged), "rule image-registry")
}

// writeStatus writes a status as Tekton's controller does.
func (b *bed) writeStatus(controller client.Client, run *unstructured.Unstructured) {
	b.Helper()
	run.Object["status"] = map[string]any{"startTime": "2126-01-01T00:00:00Z"}
	if run.GetKind() == "TaskRun" {
		run.Object["status"].(map[string]any)["podName"] = ""
	}
	if err := controller.Status().Update(b.Context(), run); err != nil {
		b.Fatal(err)
	}
}

// testUnauthorized writes exceptions that would count once nobody knows who wrote them.
func (b *bed) testUnauthorized(tenant client.Client) {
	const annotation = `except.tekgate.dev/host-path: "2126-01-01 a reason"`
	for _, text := range []string{
		`metadata: {name: u1, namespace: ci, annotations: {` + annotation + `}}, spec: {` + resultImage + `}`,
		`metadata: {name: u2, namespace: ci}, spec: {pipelineRef: {name: any}, taskRunSpecs: [{pipelineTaskName: use,
		metadata: {annotations: {` + annotation + `}}}]}`,
		`metadata: {name: u3, namespace: ci}, spec: {pipelineSpec: {tasks: [{name: a, taskSpec: {metadata: {annotations: {` +
			annotation + `}}, steps: [{image: "registry.example.com/a:1"}]}}]}}`,
	} {
		err := tenant.Create(b.Context(), b.parse("{apiVersion: tekton.dev/v1, kind: PipelineRun, "+text+"}"))
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "rule host-path") {
			b.Errorf("%s: %v", text, err)
		}
	}
}
