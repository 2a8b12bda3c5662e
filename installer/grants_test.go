package installer_test

import (
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// TestGrantsAreAskedFor holds that a user who has every right but bind and escalate is told so: the
// server calls a role that is yet to come not found.
func TestGrantsAreAskedFor(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.create("test", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: usual}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: [get, list, watch, create, update, patch, delete]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: usual}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: usual}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: usual}]
`)
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "usual"}
	usual := connectTo(t, config)
	rel := mini("v1.0.0", "")(t)
	rel.Objects = append(rel.Objects, parse(t, grants)...)
	_, err := usual.plan(rel, atOnce)
	const want = "permissions: you may not bind clusterroles.rbac.authorization.k8s.io, " +
		"escalate clusterroles.rbac.authorization.k8s.io (their rules grant what you may not do yourself): install as a"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v lacks %q", err, want)
	}

	// Roles with the user's own rights may be created, and be bound once they exist.
	own := strings.ReplaceAll(grants, "deletecollection", "delete")
	role, binding, _ := strings.Cut(own, "---")
	rel = mini("v1.0.0", "")(t)
	rel.Objects = append(rel.Objects, parse(t, role)...)
	if _, err := usual.plan(rel, atOnce); err != nil {
		t.Errorf("a role with the user's rights: %v", err)
	}
	c.create("test", role)
	rel.Objects = append(rel.Objects, parse(t, binding)...)
	if _, err := usual.plan(rel, atOnce); err != nil {
		t.Errorf("a binding of a role with the user's rights: %v", err)
	}
}

const grants = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: granted}
rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, deletecollection]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: granted}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: granted}
subjects: [{kind: ServiceAccount, name: tekton-pipelines-webhook, namespace: tekton-pipelines}]
`
