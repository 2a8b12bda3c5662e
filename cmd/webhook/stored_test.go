package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	pipelineapi "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// everyRuleOn switches all rules on, and changes what is stored in some namespaces.
const everyRuleOn = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror: {registry: mirror.example.com/hub, layout: host-path}
mutator:
  serviceAccount: {name: builder}
  kaniko:
    image: ghcr.io/osscontainertools/kaniko:v1.28.3
    registryMap: {docker.io: mirror.example.com/hub/docker.io}
    args: [--push-retry=3]
  env: {set: [{variables: [{name: GOPROXY, value: 'https://goproxy.example.com'}]}]}
  resources: {set: [{requests: {cpu: 100m}}]}
  imagePullSecrets: {names: [mirror]}
  podTemplate: {tolerations: [{key: builds, operator: Exists}], dnsPolicy: ClusterFirst}
  imageMirror: {enabled: true}
  localTasks:
    mode: stored
    only: {namespaces: [ci]}
    except: {labels: {matchLabels: {stored: "no"}}}
`

// TestOtherTools stores Tasks and creates runs as other tools do, beside Tekton's webhook and
// with the configurations as they are shipped.
func TestOtherTools(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	b.create(b.parse(leaseText))
	b.start()
	tekton.Start(t, b.cluster, tekton.Options{})
	b.configure()
	b.create(account("ci"))
	b.Run("mode resolve", func(t *testing.T) { b.on(t).testNotStored() })
	b.useConfiguration(everyRuleOn)
	b.eventually("stored Tasks are changed", func() error {
		task := b.parse(storedTask)
		if err := b.client.Create(b.Context(), task, client.DryRunAll); err != nil {
			return err
		}
		if !isStored(task) {
			return fmt.Errorf("it is %v", task.Object["spec"])
		}
		return nil
	})
	b.Run("stored Tasks", func(t *testing.T) { b.on(t).testStoredTasks() })
	b.Run("what is left alone", func(t *testing.T) { b.on(t).testStoredScope() })
	b.Run("signed later", func(t *testing.T) { b.on(t).testSignedLater() })
	b.Run("Tasks that were there before", func(t *testing.T) { b.on(t).testStoredBefore() })
	b.Run("GitOps", func(t *testing.T) { b.on(t).testGitOps() })
	b.Run("runs of other projects", func(t *testing.T) { b.on(t).testProjects() })
}

const storedTask = `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build, namespace: ci}
spec:
  params: [{name: image, type: string}]
  steps:
  - {name: test, image: "golang:1.26", script: go test}
  - {name: build, image: "gcr.io/kaniko-project/executor:v1.24.0", args: [--destination=$(params.image)]}
`

const storedOriginals = `{"gcr.io/kaniko-project/executor:v1.24.0":"mirror.example.com/hub/ghcr.io/osscontainertools/kaniko:v1.28.3",` +
	`"golang:1.26":"mirror.example.com/hub/docker.io/library/golang:1.26"}`

// isStored reports whether the rules have changed an object and recorded it.
func isStored(obj *unstructured.Unstructured) bool {
	text, _ := json.Marshal(obj.Object["spec"])
	notes := obj.GetAnnotations()
	return strings.Contains(string(text), "mirror.example.com/hub/") && strings.Contains(string(text), "GOPROXY") &&
		notes[wellknown.MutatedKey] != "" && notes[wellknown.OriginalImagesKey] != ""
}

// testNotStored holds that the server is not asked about stored objects in any other mode.
func (b *bed) testNotStored() {
	b.eventually("the condition keeps them away", func() error {
		if expression := b.kept()[wellknown.MutateStored]; expression != "false" {
			return fmt.Errorf("it is %s", expression)
		}
		return nil
	})
	b.eventually("the server is not asked about Tasks", func() error {
		before := b.requests("/mutate")
		task := b.parse(strings.Replace(storedTask, "name: build,", "generateName: quiet-,", 1))
		b.create(task)
		task.SetLabels(map[string]string{"a": "b"})
		if err := b.client.Update(b.Context(), task); err != nil {
			b.Fatal(err)
		}
		if task.GetAnnotations()[wellknown.MutatedKey] != "" {
			b.Errorf("it was changed: %v", task.Object)
		}
		if after := b.requests("/mutate"); after != before {
			return fmt.Errorf("it was asked %v times", after-before)
		}
		return nil
	})
	b.create(b.parse(strings.Replace(storedTask, "name: build,", "name: before,", 1)))
}

func (b *bed) testStoredTasks() {
	task := b.parse(storedTask)
	b.create(task)
	if !isStored(task) || task.GetAnnotations()[wellknown.OriginalImagesKey] != storedOriginals {
		b.Fatalf("stored is %v", task.Object)
	}
	for _, name := range []string{"DOCKER_CONFIG", "KANIKO_REGISTRY_MAP", "--push-retry=3", "/kaniko/executor", "cpu"} {
		if text := fmt.Sprint(task.Object["spec"]); !strings.Contains(text, name) {
			b.Errorf("stored is %s, which lacks %s", text, name)
		}
	}
	// As it is, in the form of another version, and with another image.
	stored := task.DeepCopy()
	if err := b.client.Update(b.Context(), task); err != nil || !reflect.DeepEqual(task.Object, stored.Object) {
		b.Errorf("an update with nothing new gives %v, error %v", task.Object, err)
	}
	older := b.parse(strings.Replace(storedTask, "tekton.dev/v1", "tekton.dev/v1beta1", 1))
	older.SetResourceVersion(task.GetResourceVersion())
	if err := b.client.Update(b.Context(), older); err != nil || !isStored(older) {
		b.Errorf("v1beta1 gives %v, error %v", older.Object, err)
	}
	b.get(task)
	if err := unstructured.SetNestedSlice(task.Object,
		[]any{map[string]any{"name": "test", "image": "golang:1.27", "script": "go test"}}, "spec", "steps"); err != nil {
		b.Fatal(err)
	}
	if err := b.client.Update(b.Context(), task); err != nil || task.GetAnnotations()[wellknown.OriginalImagesKey] !=
		`{"golang:1.27":"mirror.example.com/hub/docker.io/library/golang:1.27"}` {
		b.Errorf("another image gives %v, error %v", task.Object, err)
	}
	for _, text := range []string{
		"{apiVersion: tekton.dev/v1beta1, kind: StepAction, metadata: {name: s, namespace: ci}, spec: {image: golang}}",
		"{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: p, namespace: ci}, spec: {tasks: [{name: a, taskSpec: {steps: [{image: golang}]}}]}}",
	} {
		obj := b.parse(text)
		b.create(obj)
		if !isStored(obj) {
			b.Errorf("stored is %v", obj.Object)
		}
	}
	// A run that names it needs nothing in its podTemplate for it.
	run := b.parse("{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {generateName: r-, namespace: ci}, spec: {taskRef: {name: build}}}")
	b.create(run)
	if env, has, _ := unstructured.NestedSlice(run.Object, "spec", "podTemplate", "env"); has {
		b.Errorf("the podTemplate has %v", env)
	}
}

func (b *bed) testStoredScope() {
	for name, edit := range map[string]func(*unstructured.Unstructured){
		"signed": func(o *unstructured.Unstructured) {
			o.SetAnnotations(map[string]string{"tekton.dev/signature": "MEUC"})
		},
		"opted out": func(o *unstructured.Unstructured) {
			o.SetAnnotations(map[string]string{wellknown.MutateKey: wellknown.Disabled})
		},
		"another namespace": func(o *unstructured.Unstructured) { o.SetNamespace("other") },
		"excepted":          func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"stored": "no"}) },
	} {
		task := b.parse(storedTask)
		task.SetName("")
		task.SetGenerateName("alone-")
		edit(task)
		before := b.requests("/mutate")
		b.create(task)
		if isStored(task) || strings.Contains(fmt.Sprint(task.Object), "tekgate.dev/mutated") {
			b.Errorf("%s: stored is %v", name, task.Object)
		}
		if asked := b.requests("/mutate") - before; (name == "signed" || name == "opted out") && asked != 0 {
			b.Errorf("%s: the server was asked %v times", name, asked)
		}
	}
}

// testSignedLater signs a Task that was changed when it was stored, and applies it: Tekton
// computes the signature's text over all annotations.
func (b *bed) testSignedLater() {
	text := strings.Replace(storedTask, "name: build,", "name: signed,", 1)
	first := b.parse(text)
	b.clientApply(first)
	signed := b.parse(strings.Replace(text, "namespace: ci}",
		"namespace: ci, annotations: {tekton.dev/signature: MEUC}}", 1))
	b.clientApply(signed.DeepCopy())
	live := signed.DeepCopy()
	b.get(live)
	if got, want := b.checksum(live), b.checksum(signed); got != want {
		b.Errorf("what is stored is not what was signed: %v", live.Object)
	}
}

// checksum is what Tekton verifies the signature of.
func (b *bed) checksum(obj *unstructured.Unstructured) string {
	b.Helper()
	var task pipelineapi.Task
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &task); err != nil {
		b.Fatal(err)
	}
	task.SetDefaults(b.Context())
	sum, err := task.Checksum()
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf("%x", sum)
}

// testStoredBefore does what `kubectl get -o json | kubectl replace -f -` does with a Task that
// was stored before the mode was set.
func (b *bed) testStoredBefore() {
	task := b.parse("{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: before, namespace: ci}}")
	b.get(task)
	if isStored(task) {
		b.Fatalf("it is changed already: %v", task.Object)
	}
	if err := b.client.Update(b.Context(), task); err != nil || !isStored(task) {
		b.Errorf("stored again it is %v, error %v", task.Object, err)
	}
	deleted := b.parse(strings.Replace(storedTask, "name: build,", "name: deleted, finalizers: [example.com/f],", 1))
	b.create(deleted)
	if err := b.client.Delete(b.Context(), deleted); err != nil {
		b.Fatal(err)
	}
	before := b.requests("/mutate")
	finalizers := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := b.client.Patch(b.Context(), deleted, finalizers); err != nil || b.requests("/mutate") != before {
		b.Errorf("the last update of a Task that is deleted gives %v, and the server was asked", err)
	}
}
