package main

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// TestNewerTekton creates objects of a Tekton that is newer than this program on a real API server,
// with the configurations as they are shipped and failurePolicy Fail: a version v2, fields, and flags
// that the program does not know. Nothing is refused for being new, nothing is lost, and what the
// program knows of the object is still done.
func TestNewerTekton(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	for _, kind := range []string{"task", "pipeline", "pipelinerun", "stepaction"} {
		b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-"+kind+".yaml")
	}
	for _, plural := range []string{"tasks", "taskruns", "pipelines", "pipelineruns", "stepactions"} {
		b.serveV2(plural)
	}
	b.create(b.parse("{apiVersion: v1, kind: ConfigMap, metadata: {name: pipelines-info, namespace: tekton-pipelines}, " +
		"data: {version: v1.17.0}}"))
	b.create(b.parse("{apiVersion: v1, kind: ConfigMap, metadata: {name: feature-flags, namespace: tekton-pipelines}, " +
		"data: {enable-api-fields: omega, set-security-context: \"maybe\", enable-cache: \"true\"}}"))
	b.start()
	b.configure()
	b.failClosed()
	b.create(account("ci"))
	for _, text := range newerObjects {
		obj := b.parse(text)
		b.eventually(obj.GetKind()+" is accepted", func() error { return b.client.Create(b.Context(), obj.DeepCopy()) })
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(obj.GroupVersionKind())
		live.SetNamespace("ci")
		live.SetName(obj.GetName())
		b.get(live)
		if !strings.HasPrefix(obj.GetAPIVersion(), "tekton.dev/") {
			continue
		}
		if cached, _, _ := unstructured.NestedString(live.Object, "spec", "cache", "cacheImage"); cached != "a" {
			t.Errorf("%s of %s lost its new field: %v", obj.GetKind(), obj.GetAPIVersion(), live.Object["spec"])
		}
		mutated := live.GetAnnotations()[wellknown.MutatedKey] != "" && accountOf(live) == "builder"
		if obj.GetKind() == "TaskRun" && !mutated {
			t.Errorf("TaskRun of %s was not mutated: %v", obj.GetAPIVersion(), live.Object)
		}
		live.SetAnnotations(map[string]string{"except.tekgate.dev/x": "y"})
		if err := unstructured.SetNestedField(live.Object, "b", "spec", "cache", "cacheImage"); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(obj.GetKind(), "Run") {
			continue // Tekton allows no change of them
		}
		if err := b.client.Update(b.Context(), live); err != nil {
			t.Errorf("updating %s of %s: %v", obj.GetKind(), obj.GetAPIVersion(), err)
		}
	}
	if asked := b.requests("/validate"); asked == 0 {
		t.Error("the server was not asked to validate")
	}
}

// newerObjects have a version and fields of a newer Tekton. TriggerTemplates are what Tekgate judges by
// Tekton's own code.
var newerObjects = []string{
	`{apiVersion: tekton.dev/v2, kind: Task, metadata: {name: a, namespace: ci},
	  spec: {cache: {cacheImage: a}, steps: [{name: s, image: alpine, script: "true", newField: {a: b}}]}}`,
	`{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: b, namespace: ci},
	  spec: {cache: {cacheImage: a}, steps: [{name: s, image: alpine, script: "true", newField: {a: b}}]}}`,
	`{apiVersion: tekton.dev/v2, kind: StepAction, metadata: {name: a, namespace: ci},
	  spec: {cache: {cacheImage: a}, image: alpine, script: "true"}}`,
	`{apiVersion: tekton.dev/v2, kind: Pipeline, metadata: {name: a, namespace: ci},
	  spec: {cache: {cacheImage: a}, tasks: [{name: t, taskRef: {name: a}, newField: 1}]}}`,
	`{apiVersion: tekton.dev/v2, kind: TaskRun, metadata: {name: a, namespace: ci},
	  spec: {cache: {cacheImage: a}, taskSpec: {steps: [{name: s, image: "gcr.io/kaniko-project/executor:v1.24.0"}]}}}`,
	`{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: b, namespace: ci},
	  spec: {cache: {cacheImage: a}, taskSpec: {steps: [{name: s, image: alpine, newField: [1]}]}}}`,
	`{apiVersion: tekton.dev/v2, kind: PipelineRun, metadata: {name: a, namespace: ci},
	  spec: {cache: {cacheImage: a}, pipelineSpec: {tasks: [{name: t, taskRef: {name: a}}]}}}`,
	`{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerTemplate, metadata: {name: a, namespace: ci},
	  spec: {resourcetemplates: [{apiVersion: tekton.dev/v2, kind: TaskRun, metadata: {generateName: a-},
	  spec: {cache: {cacheImage: a}, taskSpec: {steps: [{image: a, script: "true"}]}}}]}}`,
	`{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerTemplate, metadata: {name: b, namespace: ci},
	  spec: {resourcetemplates: [{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {generateName: a-},
	  spec: {cache: {cacheImage: a}, taskSpec: {steps: [{image: a, script: "true"}]}}}]}}`,
}

// serveV2 has a kind served as v2, too, and lets all of its versions have unknown fields.
func (b *bed) serveV2(plural string) {
	b.Helper()
	crd := b.parse("{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: " + plural +
		".tekton.dev}}")
	b.get(crd)
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		v.(map[string]any)["schema"] = map[string]any{"openAPIV3Schema": map[string]any{
			"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
	}
	v2 := (&unstructured.Unstructured{Object: versions[0].(map[string]any)}).DeepCopy().Object
	v2["name"], v2["served"], v2["storage"] = "v2", true, false
	if err := unstructured.SetNestedSlice(crd.Object, append(versions, v2), "spec", "versions"); err != nil {
		b.Fatal(err)
	}
	if err := b.client.Update(b.Context(), crd); err != nil {
		b.Fatal(err)
	}
	b.eventually(plural+" are served as v2", func() error {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion("tekton.dev/v2")
		list.SetKind(crd.Object["spec"].(map[string]any)["names"].(map[string]any)["kind"].(string) + "List")
		return b.client.List(b.Context(), list)
	})
}

// failClosed has every webhook of the configurations refuse what it cannot answer.
func (b *bed) failClosed() {
	b.Helper()
	for kind, name := range map[string]string{"MutatingWebhookConfiguration": wellknown.MutatingConfiguration,
		"ValidatingWebhookConfiguration": wellknown.ValidatingConfiguration} {
		configuration := b.parse(
			"{apiVersion: admissionregistration.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name + "}}")
		b.eventually(name+" is fail closed", func() error {
			b.get(configuration)
			webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
			for _, w := range webhooks {
				w.(map[string]any)["failurePolicy"] = "Fail"
			}
			if err := unstructured.SetNestedSlice(configuration.Object, webhooks, "webhooks"); err != nil {
				return fmt.Errorf("setting failurePolicy: %w", err)
			}
			return b.client.Update(b.Context(), configuration)
		})
	}
}
