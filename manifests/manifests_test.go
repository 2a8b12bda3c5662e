package manifests_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

func own(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.Tekgate()
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestTrap38_TektonIsInTheBinary(t *testing.T) {
	for _, line := range release.Lines {
		for _, m := range release.Manifests {
			r, err := manifests.TektonOf(line, m.Name)
			if err != nil {
				t.Error(err)
				continue
			}
			if r.Version != line.Version(m) || len(r.Objects) == 0 {
				t.Errorf("%s of line %s is version %q with %d objects", m.Name, line.Name, r.Version, len(r.Objects))
			}
		}
	}
	absent := release.Line{Name: "v9.9", Pipeline: "v9.9.9"}
	if _, err := manifests.TektonOf(absent, "pipeline"); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("a release that is not there: error %v", err)
	}
}

func TestVersionIsFilledIn(t *testing.T) {
	for _, obj := range own(t) {
		text, err := obj.MarshalJSON()
		if err != nil || strings.Contains(string(text), "$VERSION") {
			t.Errorf("%s %s: version not filled in (error %v)", obj.GetKind(), obj.GetName(), err)
		}
	}
}

// Tekton's config webhook judges every ConfigMap, in any namespace, that says
// it is a part of Tekton Pipelines.
func TestNothingPosesAsTekton(t *testing.T) {
	certificates, err := manifests.Certificates()
	if err != nil || len(certificates) < 5 {
		t.Fatalf("%d objects ask for certificates, error %v", len(certificates), err)
	}
	for _, obj := range append(own(t), certificates...) {
		if part := obj.GetLabels()["app.kubernetes.io/part-of"]; part != "tekgate" {
			t.Errorf("%s %s is part of %q", obj.GetKind(), obj.GetName(), part)
		}
	}
}

// The promise that Tekgate's absence stops nothing: its webhooks match Tekton's
// kinds alone, leave out the namespaces that a cluster and Tekton itself need,
// are short, ignore their own failure, and come before Tekton's.
func TestTrap28_WebhooksCanStopNothing(t *testing.T) {
	seen := 0
	for _, obj := range own(t) {
		if !strings.HasSuffix(obj.GetKind(), "WebhookConfiguration") {
			continue
		}
		if obj.GetKind() == "MutatingWebhookConfiguration" && obj.GetName() >= "webhook.pipeline.tekton.dev" {
			t.Errorf("%s is called after Tekton's webhook, which sets serviceAccountName", obj.GetName())
		}
		webhooks, _, err := unstructured.NestedSlice(obj.Object, "webhooks")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range webhooks {
			seen++
			checkWebhook(t, w.(map[string]any))
		}
	}
	if seen < 2 {
		t.Errorf("only %d webhooks were checked", seen)
	}
}

func checkWebhook(t *testing.T, webhook map[string]any) {
	t.Helper()
	name := webhook["name"]
	dry := webhook["sideEffects"] == "None" ||
		webhook["sideEffects"] == "NoneOnDryRun" // or no dry run of anybody's would pass
	if webhook["failurePolicy"] != "Ignore" || !dry || webhook["timeoutSeconds"].(int64) > 5 {
		t.Errorf(
			"%v: failurePolicy %v, sideEffects %v, timeout %v",
			name,
			webhook["failurePolicy"],
			webhook["sideEffects"],
			webhook["timeoutSeconds"],
		)
	}
	for _, r := range webhook["rules"].([]any) {
		rule := r.(map[string]any)
		for _, group := range rule["apiGroups"].([]any) {
			if !strings.HasSuffix(group.(string), "tekton.dev") && !narrowed(webhook, rule) {
				t.Errorf("%v matches %v of API group %q", name, rule["resources"], group)
			}
		}
		if slices.Contains(rule["operations"].([]any), any("DELETE")) ||
			slices.Contains(rule["resources"].([]any), any("*")) {
			t.Errorf("%v: rule %v", name, rule)
		}
	}
	if name == "configuration.validate.tekgate.dev" {
		return // it is about Tekgate's namespace and no other, see narrowed
	}
	expressions, _, _ := unstructured.NestedSlice(webhook, "namespaceSelector", "matchExpressions")
	excluded, _ := expressions[0].(map[string]any)["values"].([]any)
	for _, namespace := range []any{
		"kube-system", "tekgate", "tekgate-deliveries", "tekton-pipelines", "tekton-pipelines-resolvers",
	} {
		if !slices.Contains(excluded, namespace) {
			t.Errorf("%v does not leave out namespace %v", name, namespace)
		}
	}
}

// narrowed tells whether a rule about a core kind reaches nothing but the Pods
// that Tekton labels, or nothing but Tekgate's own ConfigMap.
func narrowed(webhook, rule map[string]any) bool {
	objects, _, _ := unstructured.NestedFieldNoCopy(webhook, "objectSelector")
	namespaces, _, _ := unstructured.NestedFieldNoCopy(webhook, "namespaceSelector", "matchLabels")
	switch resources := fmt.Sprint(rule["resources"]); resources {
	case "[pods]":
		return fmt.Sprint(objects) == "map[matchExpressions:[map[key:tekton.dev/taskRun operator:Exists]]]"
	case "[configmaps]":
		return fmt.Sprint(objects) == "map[matchLabels:map[app.kubernetes.io/part-of:tekgate]]" &&
			fmt.Sprint(namespaces) == "map[kubernetes.io/metadata.name:tekgate]"
	}
	return false
}

// Both of Tekton's namespaces and Tekgate's own enforce the restricted Pod
// Security Standard: the API server itself judges our Pods.
func TestTrap24_PodsAreRestricted(t *testing.T) {
	c := cluster.StartEmpty(t)
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	k, err := client.New(c.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, obj := range own(t) {
		switch obj.GetKind() {
		case "Namespace":
			if err := k.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
		case "Deployment":
			judged++
			template, _, _ := unstructured.NestedMap(obj.Object, "spec", "template")
			pod := &corev1.Pod{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, pod); err != nil {
				t.Fatal(err)
			}
			pod.Namespace, pod.Name = obj.GetNamespace(), obj.GetName()
			if err := k.Create(t.Context(), pod, client.DryRunAll); err != nil {
				t.Errorf("the API server refuses a Pod of %s: %v", obj.GetName(), err)
			}
			pod.Spec.Containers[0].SecurityContext = nil
			if err := k.Create(t.Context(), pod, client.DryRunAll); err == nil {
				t.Errorf(
					"the API server takes a Pod of %s without its securityContext: this test proves nothing",
					obj.GetName(),
				)
			}
		}
	}
	if judged != 2 {
		t.Errorf("%d Deployments were judged", judged)
	}
}

// TestComponents holds that the embedded components have the images that their projects
// publish. The names are from release files and from the table of images of tektoncd/operator
// v0.80.0.
func TestComponents(t *testing.T) {
	published := map[string]string{
		"dashboard": "ghcr.io/tektoncd/dashboard/dashboard-9623576a202fe86c8b7d1bc489905f86",
		"chains":    "ghcr.io/tektoncd/chains/github.com/tektoncd/chains/cmd/controller",
		"results": "ghcr.io/tektoncd/results/api-b1b7ffa9ba32f7c3020c3b68830b30a8 " +
			"ghcr.io/tektoncd/results/retention-policy-agent-07427b345034d96a9a27896ebb138518 " +
			"ghcr.io/tektoncd/results/watcher-83f971ea227fb24157c0c699b824a628",
		"pruner": "ghcr.io/tektoncd/pruner/controller-fb9e5cbe6aa14ed1aa64e966d9e4d295 " +
			"ghcr.io/tektoncd/pruner/webhook-19748cdf3f89caca6b5e27d42f93fa7f",
		"manual-approval-gate": "ghcr.io/openshift-pipelines/manual-approval-gate/controller-b21cda49f4c608e77b59fc6a3bf67c9e " +
			"ghcr.io/openshift-pipelines/manual-approval-gate/webhook-3d5568be3d188037c7bf9bfde2cf1321",
	}
	for _, component := range release.Components {
		found, err := manifests.Component(component)
		if err != nil {
			t.Fatal(err)
		}
		var images, paths []string
		for _, obj := range found.Objects {
			text, _ := json.Marshal(obj.Object)
			for _, left := range []string{"ko://", "=--tenant-namespaces", `"app.kubernetes.io/version":"devel"`} {
				if strings.Contains(string(text), left) {
					t.Errorf("%s: %s %s has %q", component.Name, obj.GetKind(), obj.GetName(), left)
				}
			}
			for _, field := range object.Images(obj.Object) {
				images = append(images, strings.TrimSuffix(field.Value, ":"+component.Version))
			}
		}
		for _, importPath := range component.ImportPaths() {
			paths = append(paths, component.Repository(importPath))
		}
		if got := strings.Join(images, " "); got != published[component.Name] {
			t.Errorf("%s: images %s, want %s", component.Name, got, published[component.Name])
		}
		if got := strings.Join(paths, " "); got != published[component.Name] {
			t.Errorf("%s: the table's images %s, want %s", component.Name, got, published[component.Name])
		}
	}
}
