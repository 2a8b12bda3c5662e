package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// enforcing refuses images of elsewhere, and lets the authorized except runs from that.
const enforcing = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
validator:
  rules:
    image-registry: {mode: enforce, exceptions: authorized}
    resolver-required: {mode: off, namespaces: [{match: [other], mode: enforce}]}
  policy: {images: {allowed: ['registry.example.com/**']}}
`

// TestEnforcement is what a tenant with all rights in one namespace does to have an image
// that no list allows, against the webhook configurations as they are shipped: what cannot be
// judged would pass by the failurePolicy that they have by default.
func TestEnforcement(t *testing.T) {
	for _, policy := range []admissionv1.FailurePolicyType{admissionv1.Ignore, admissionv1.Fail} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			testEnforcement(t, policy)
		})
	}
}

func testEnforcement(t *testing.T, policy admissionv1.FailurePolicyType) {
	t.Helper()
	b := newCluster(t)
	b.start()
	b.configure()
	b.setFailurePolicy(policy)
	b.enforce(enforcing)
	b.create(clusterRole("excepts", "validator.tekgate.dev", "rules", "except"))
	b.create(clusterRole("edits", "tekton.dev", "*", "*"))
	tenant, admin := b.user("tenant"), b.user("admin")
	forbidden := func(what string, err error) {
		t.Helper()
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "rule image-registry") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	forbidden("plainly", tenant.Create(t.Context(), b.parse(elsewhere("plain", ""))))
	for _, size := range [][2]int{{15_000, 60}, {1_000, 1_000}} {
		forbidden(fmt.Sprintf("behind %d params and %d steps", size[0], size[1]),
			tenant.Create(t.Context(), paddedRun(size[0], size[1])))
	}
	const reason = `except.tekgate.dev/image-registry: "2126-01-01 a reason"`
	forbidden("with an exception of one's own", tenant.Create(t.Context(), b.parse(elsewhere("excepted", reason))))
	if err := admin.Create(t.Context(), b.parse(elsewhere("excepted", reason))); err != nil {
		t.Errorf("with an exception of one who may: %v", err)
	}
	b.Run("being deleted", func(t *testing.T) { b.on(t).testDeletedInUse(tenant) })
	b.Run("very many annotations", func(t *testing.T) { b.on(t).testManyAnnotations(tenant) })
	b.Run("an owner of its own making", func(t *testing.T) { b.on(t).testPretended(tenant) })
}

// setFailurePolicy gives a failurePolicy to the webhooks whose policy the configuration sets.
func (b *bed) setFailurePolicy(policy admissionv1.FailurePolicyType) {
	b.Helper()
	b.eventually("failurePolicy is set", func() error { // the server may write its conditions meanwhile
		var mutating admissionv1.MutatingWebhookConfiguration
		mutating.Name = wellknown.MutatingConfiguration
		b.get(&mutating)
		for i := range mutating.Webhooks {
			mutating.Webhooks[i].FailurePolicy = &policy
		}
		var validating admissionv1.ValidatingWebhookConfiguration
		validating.Name = wellknown.ValidatingConfiguration
		b.get(&validating)
		for i := range validating.Webhooks {
			if validating.Webhooks[i].Name != wellknown.ValidateConfiguration {
				validating.Webhooks[i].FailurePolicy = &policy
			}
		}
		return errors.Join(b.client.Update(b.Context(), &mutating), b.client.Update(b.Context(), &validating))
	})
}

// enforce has the server use another configuration.
func (b *bed) enforce(text string) {
	b.Helper()
	write(b.T, b.config, "", text)
	b.eventually("the configuration is used", func() error {
		err := b.client.Create(b.Context(), b.parse(elsewhere("probe", "")), client.DryRunAll)
		if !apierrors.IsForbidden(err) {
			return errors.Join(errors.New("a forbidden image is not refused"), err)
		}
		return nil
	})
}

// user is a client that may do anything, and whom no role calls an administrator.
func (b *bed) user(name string) client.Client {
	b.Helper()
	b.create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edits"}})
	if name == "admin" {
		b.create(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ci"},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "excepts"}})
	}
	config := rest.CopyConfig(b.cluster.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func clusterRole(name, group, resource, verb string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb},
	}}}
}

func elsewhere(name, annotation string) string {
	return fmt.Sprintf(`
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: %s, namespace: ci, annotations: {%s}}
spec: {taskSpec: {steps: [{name: test, image: "elsewhere.example.com/tool:v1"}]}}
`, name, annotation)
}

// paddedRun is such a run behind so many params and steps.
func paddedRun(params, steps int) *unstructured.Unstructured {
	var given, run []any
	for i := range params {
		given = append(given, map[string]any{"name": fmt.Sprintf("p%d", i), "value": "v1"})
	}
	for i := range steps {
		run = append(run, map[string]any{"image": fmt.Sprintf("elsewhere.example.com/tool:$(params.p%d)", i)})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{"name": "padded", "namespace": "ci"},
		"spec":     map[string]any{"params": given, "taskSpec": map[string]any{"steps": run}},
	}}
}

// testDeletedInUse keeps a run by a finalizer, and gives it the image after it was deleted.
func (b *bed) testDeletedInUse(tenant client.Client) {
	run := b.parse(strings.Replace(elsewhere("kept", ""), "elsewhere", "registry", 1))
	run.SetFinalizers([]string{"example.com/keep"})
	if err := tenant.Create(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	if err := tenant.Delete(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	b.get(run)
	steps, _, _ := unstructured.NestedSlice(run.Object, "spec", "taskSpec", "steps")
	steps[0].(map[string]any)["image"] = "elsewhere.example.com/tool:v1"
	if err := unstructured.SetNestedSlice(run.Object, steps, "spec", "taskSpec", "steps"); err != nil {
		b.Fatal(err)
	}
	if err := tenant.Update(b.Context(), run); !apierrors.IsForbidden(err) {
		b.Errorf("got %v", err)
	}
	b.get(run)
	run.SetFinalizers(nil)
	if err := tenant.Update(b.Context(), run); err != nil {
		b.Errorf("the finalizer cannot be removed: %v", err)
	}
}

// testManyAnnotations makes the expressions of the webhook configuration walk through as
// many annotations as fit: what they cannot evaluate is not asked about.
func (b *bed) testManyAnnotations(tenant client.Client) {
	run := b.parse(strings.Replace(elsewhere("annotated", ""), "elsewhere", "registry", 1))
	many := map[string]string{}
	for i := range 20_000 {
		many[fmt.Sprintf("a%d", i)] = ""
	}
	run.SetAnnotations(many)
	if err := tenant.Create(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	steps := []any{map[string]any{"name": "test", "image": "elsewhere.example.com/tool:v1"}}
	if err := unstructured.SetNestedSlice(run.Object, steps, "spec", "taskSpec", "steps"); err != nil {
		b.Fatal(err)
	}
	if err := tenant.Update(b.Context(), run); err == nil {
		b.Error("it passes")
	}
}

// testPretended says that a PipelineRun owns a run, as Tekton's controller does of those
// that rules about where runs come from pass over.
func (b *bed) testPretended(tenant client.Client) {
	run := b.parse(strings.Replace(elsewhere("pretended", ""), "elsewhere", "registry", 1))
	yes := true
	run.SetNamespace("other")
	run.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "tekton.dev/v1", Kind: "PipelineRun", Name: "any",
		UID: "9b1c7f5e-4a52-4a0e-9d57-2f1f3c9a8e11", Controller: &yes}})
	err := tenant.Create(b.Context(), run)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "rule resolver-required") {
		b.Errorf("got %v", err)
	}
}
