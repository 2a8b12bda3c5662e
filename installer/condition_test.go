package installer_test

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
)

const conditioned = `
apiVersion: v1
kind: Namespace
metadata: {name: tekgate}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: tekgate-config, namespace: tekgate}
data: {config.yaml: "CONFIG"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: mutate.tekgate.dev}
webhooks:
- name: runs.mutate.tekgate.dev
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {service: {name: tekgate-webhook, namespace: tekgate}}
  matchConditions:
  - {name: not-deleted, expression: "!has(object.metadata.deletionTimestamp)"}
  - {name: wanted-by-configuration, expression: "true"}
  rules: [{apiGroups: [tekton.dev], apiVersions: [v1], resources: [taskruns], operations: [CREATE]}]
`

// TestConditions installs, and installs again, while the servers keep the conditions.
func TestConditions(t *testing.T) {
	t.Parallel()
	c := start(t)
	const wants = `request.namespace == "ci"`
	release := func(config string) installer.Release {
		rel := rendered(t, parse(t, strings.ReplaceAll(conditioned, "CONFIG", config)))
		rel.Conditions = map[string]string{"runs.mutate.tekgate.dev": wants}
		return rel
	}
	check := func(when, want string) {
		t.Helper()
		field := c.field(
			"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", "mutate.tekgate.dev", "webhooks")
		hooks, _ := field.([]any)
		conditions := hooks[0].(map[string]any)["matchConditions"].([]any)
		if got := conditions[1].(map[string]any)["expression"]; got != want || len(conditions) != 2 {
			t.Errorf("%s the conditions are %v, want %s", when, conditions, want)
		}
	}
	unchanged := func(when string, rel installer.Release) {
		t.Helper()
		plan, err := c.plan(rel, atOnce)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range plan.Changes() {
			if change.Action != ssa.UnchangedAction {
				t.Errorf("%s %s %s is %s", when, change.Desired.GetKind(), change.Desired.GetName(), change.Action)
			}
		}
	}
	c.install(release("one"), atOnce)
	check("installed for the first time,", wants)
	unchanged("installed,", release("one"))

	const servers = `request.namespace in ["ci", "with-settings"]`
	c.serversWrite(servers)
	unchanged("kept by the servers,", release("one"))
	c.install(release("one"), atOnce)
	check("installed again,", servers)

	c.install(release("two"), atOnce)
	check("with another configuration,", "true")
	unchanged("opened,", release("two"))
	c.serversWrite(servers)
	check("once the servers have it,", servers)
	unchanged("narrowed,", release("two"))
}

// serversWrite does what the admission server does.
func (c *target) serversWrite(expression string) {
	c.t.Helper()
	obj := object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", "mutate.tekgate.dev")
	obj.Object["webhooks"] = []any{map[string]any{
		"name": "runs.mutate.tekgate.dev",
		"matchConditions": []any{
			map[string]any{"name": "wanted-by-configuration", "expression": expression},
		},
	}}
	err := c.Client().Apply(
		c.t.Context(),
		client.ApplyConfigurationFromUnstructured(obj),
		client.FieldOwner("tekgate-conditions"),
		client.ForceOwnership,
	)
	if err != nil {
		c.t.Fatal(err)
	}
}
