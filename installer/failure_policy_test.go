package installer_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// failing returns the embedded release, in which some webhooks have failurePolicy Fail.
func failing(t *testing.T, webhooks ...string) installer.Release {
	t.Helper()
	rel := embedded(t)
	own := slices.DeleteFunc(slices.Clone(rel.Objects), func(obj *unstructured.Unstructured) bool {
		return obj.GetName() != live.OwnConfiguration(obj.GetKind())
	})
	if err := manifest.SetFailurePolicies(own, webhooks); err != nil {
		t.Fatal(err)
	}
	return rel
}

// refusing returns the webhooks that have failurePolicy Fail in the cluster.
func (c *target) refusing() []string {
	c.t.Helper()
	names := map[string]bool{}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		obj := c.get("admissionregistration.k8s.io/v1", kind, "", live.OwnConfiguration(kind))
		if obj == nil {
			continue
		}
		for _, webhook := range live.Maps(obj.Object, "webhooks") {
			if webhook["failurePolicy"] == "Fail" {
				names[live.Text(webhook, "name")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

const (
	ofRuns     = "runs.validate.tekgate.dev"
	ofTriggers = "triggers.validate.tekgate.dev"
)

// TestFailurePolicy holds that a webhook refuses what it cannot judge only after its server
// has answered, also where an install waits for nothing else.
func TestFailurePolicy(t *testing.T) {
	t.Parallel()
	c := start(t)
	deaf := c.node("mutate.tekgate.dev", "validate.tekgate.dev")
	err := c.apply(failing(t, ofRuns), installer.Options{Timeout: 10 * time.Second}, silent{})
	if err == nil || !strings.Contains(err.Error(), "failurePolicy stays Ignore until the admission server answers") {
		t.Errorf("without an answer: %v", err)
	}
	if got := c.refusing(); len(got) > 0 {
		t.Errorf("without an answer %v refuse", got)
	}
	deaf.end()
	c.node()
	options := installer.Options{Timeout: 2 * time.Minute}
	c.install(failing(t, ofRuns), options)
	if got := c.refusing(); !slices.Equal(got, []string{ofRuns}) {
		t.Errorf("%v refuse", got)
	}
	if _, done := c.install(failing(t, ofRuns), options); len(done.ToGroupedMap()[ssa.ConfiguredAction]) > 0 {
		t.Errorf("the second time configured %v", done.ToGroupedMap()[ssa.ConfiguredAction])
	}
	c.install(failing(t), options)
	if got := c.refusing(); len(got) > 0 {
		t.Errorf("after it was set back %v refuse", got)
	}
}

// TestFailurePolicyDoesNotBlockRepair holds that an install succeeds in a cluster in which
// Tekgate's own webhook, whose server nobody can reach, refuses a part of it.
func TestFailurePolicyDoesNotBlockRepair(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	options := installer.Options{Timeout: 2 * time.Minute}
	c.install(failing(t, ofTriggers), options)
	if got := c.refusing(); !slices.Equal(got, []string{ofTriggers}) {
		t.Fatalf("%v refuse", got)
	}
	other := object("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "other")
	other.Object["spec"] = map[string]any{"clientConfig": map[string]any{"url": "http://other.example.com"}}
	err := c.Client().Create(t.Context(), other)
	if err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Fatalf("the webhook refuses nothing, so this test proves nothing: %v", err)
	}
	missing := object("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "cel")
	if err := c.Client().Delete(t.Context(), missing); err != nil {
		t.Fatal(err)
	}
	plan, _ := c.install(failing(t, ofTriggers), options)
	notes := strings.Join(plan.Notes, "\n")
	if !strings.Contains(notes, "their failurePolicy is set to Ignore before") {
		t.Errorf("nothing is said of it:\n%s", notes)
	}
	if c.get("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "cel") == nil {
		t.Error("what was missing is still missing")
	}
	if got := c.refusing(); !slices.Equal(got, []string{ofTriggers}) {
		t.Errorf("after the repair %v refuse", got)
	}
}

// TestServerDown holds what becomes of requests while nobody can reach the admission server,
// by either failurePolicy, with everything installed as it is shipped: with Fail no object of
// Tekton's passes, and nothing that a repair needs is ever refused.
func TestServerDown(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	options := installer.Options{Timeout: 2 * time.Minute}
	for policy, webhooks := range map[string][]string{"Ignore": nil, "Fail": wellknown.SettableFailurePolicy} {
		c.install(failing(t, webhooks...), options)
		if got := c.refusing(); len(got) != len(webhooks) {
			t.Fatalf("%s: %v refuse", policy, got)
		}
		c.removeOthersWebhooks()
		for what, obj := range tektonObjects("default") {
			err := c.dry(obj)
			refused := err != nil && strings.Contains(err.Error(), "failed calling webhook") &&
				strings.Contains(err.Error(), ".tekgate.dev")
			if refused != (policy == "Fail") || err != nil && !refused {
				t.Errorf("%s: %s: %v", policy, what, err)
			}
		}
		c.testRepairs(policy)
	}
	c.install(failing(t), options)
	if got := c.refusing(); len(got) > 0 {
		t.Errorf("after an install without the setting %v refuse", got)
	}
}

// removeOthersWebhooks removes those of Tekton, whose servers do not run either.
func (c *target) removeOthersWebhooks() {
	c.t.Helper()
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		list, err := c.List(c.t.Context(), schema.GroupVersionKind{
			Group: "admissionregistration.k8s.io", Version: "v1", Kind: kind})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, obj := range list {
			if obj.GetName() == live.OwnConfiguration(kind) {
				continue
			}
			if err := c.Client().Delete(c.t.Context(), obj); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

func (c *target) dry(obj *unstructured.Unstructured) error {
	return c.Client().Create(c.t.Context(), obj, client.DryRunAll)
}

// tektonObjects returns one object for each webhook that is called for creations by users.
func tektonObjects(namespace string) map[string]*unstructured.Unstructured {
	steps := map[string]any{"steps": []any{map[string]any{
		"name": "build", "image": "gcr.io/kaniko-project/executor:v1.24.0"}}}
	run := object("tekton.dev/v1", "TaskRun", namespace, "run")
	run.Object["spec"] = map[string]any{"taskSpec": steps}
	task := object("tekton.dev/v1", "Task", namespace, "task")
	task.Object["spec"] = steps
	listener := object("triggers.tekton.dev/v1beta1", "EventListener", namespace, "listener")
	listener.Object["spec"] = map[string]any{"triggers": []any{}}
	return map[string]*unstructured.Unstructured{
		"a TaskRun in " + namespace: run, "a Task in " + namespace: task, "an EventListener in " + namespace: listener,
	}
}

// testRepairs creates and changes what a repair may need.
func (c *target) testRepairs(policy string) {
	c.t.Helper()
	for _, namespace := range []string{
		"kube-system", wellknown.TekgateNamespace, wellknown.DeliveriesNamespace, wellknown.PipelinesNamespace,
		wellknown.ResolversNamespace,
	} {
		needed := tektonObjects(namespace)
		for _, kind := range []string{"ConfigMap", "Secret", "ServiceAccount"} {
			needed[kind+" in "+namespace] = object("v1", kind, namespace, "repair")
		}
		pod := object("v1", "Pod", namespace, "repair")
		pod.SetLabels(map[string]string{
			"app.kubernetes.io/name": wellknown.Webhook, "tekton.dev/taskRun": "pretended"})
		pod.Object["spec"] = map[string]any{
			"automountServiceAccountToken": false, "serviceAccountName": "default",
			"securityContext": map[string]any{
				"runAsNonRoot": true, "runAsUser": int64(65532), "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			"containers": []any{map[string]any{
				"name": "a", "image": "b", "securityContext": map[string]any{
					"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}}}},
		}
		account := object("v1", "ServiceAccount", namespace, "default")
		if err := client.IgnoreAlreadyExists(c.Client().Create(c.t.Context(), account)); err != nil {
			c.t.Errorf("%s: the default ServiceAccount of %s: %v", policy, namespace, err)
		}
		needed["a Pod in "+namespace] = pod
		for what, obj := range needed {
			if err := c.dry(obj); err != nil {
				c.t.Errorf("%s: %s: %v", policy, what, err)
			}
		}
	}
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"repaired":"yes"}}}`))
	for _, obj := range []*unstructured.Unstructured{
		object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", wellknown.MutatingConfiguration),
		object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", wellknown.ValidatingConfiguration),
		object("apps/v1", "Deployment", wellknown.TekgateNamespace, wellknown.Webhook),
		object("v1", "ConfigMap", wellknown.TekgateNamespace, wellknown.ConfigMap),
		object("v1", "Namespace", "", wellknown.TekgateNamespace),
		object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "taskruns.tekton.dev"),
	} {
		what := kube.Name(obj)
		if err := c.Client().Patch(c.t.Context(), obj.DeepCopy(), label, client.DryRunAll); err != nil {
			c.t.Errorf("%s: changing %s: %v", policy, what, err)
		}
		if err := c.Client().Delete(c.t.Context(), obj, client.DryRunAll); err != nil {
			c.t.Errorf("%s: deleting %s: %v", policy, what, err)
		}
	}
}
