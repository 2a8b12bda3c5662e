package installer_test

import (
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/tekgate/tekgate/installer"
)

// TestTerminatingNamespaces holds that a namespace that is being deleted is one sentence, with
// what holds it, and not one for each object in it.
func TestTerminatingNamespaces(t *testing.T) {
	t.Parallel()
	c := start(t)
	rel := mini("v1.0.0", "")(t)
	c.install(rel, atOnce)
	ns := c.get("v1", "Namespace", "", "tekton-pipelines")
	if err := c.Client().Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	ns = c.get("v1", "Namespace", "", "tekton-pipelines")
	const remaining = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
	ns.Object["status"] = map[string]any{"phase": "Terminating", "conditions": []any{map[string]any{
		"type": "NamespaceFinalizersRemaining", "status": "True", "reason": "SomeFinalizersRemain",
		"message": remaining, "lastTransitionTime": "2026-01-01T00:00:00Z",
	}}}
	if err := c.Client().Status().Update(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} { // diff forces
		_, err := c.plan(mini("v1.1.0", "")(t), installer.Options{Force: force})
		want := "nothing was changed, since namespace tekton-pipelines (" + remaining + ") is being terminated: wait"
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("force %v: error %v, want %q", force, err, want)
		}
	}
}

// TestComparisonTakesPatch holds that a user who may only read is told in one sentence why nothing
// can be compared.
func TestComparisonTakesPatch(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "")(t), atOnce)
	c.create("test", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
`)
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "reader"}
	_, err := connectTo(t, config).plan(mini("v1.1.0", "")(t), installer.Options{Force: true})
	for _, want := range []string{"comparing with the cluster takes the verb patch", "you may not patch ", "more: run it as"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}
