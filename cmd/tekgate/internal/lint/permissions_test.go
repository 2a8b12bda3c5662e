package lint

import "testing"

const listenerOf = `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: push}
spec:
  serviceAccountName: gitsa
  triggers:
  - name: push
    interceptors: [{ref: {name: github}, params: [{name: secretRef, value: {secretName: hook, secretKey: token}}]}]
    template: {spec: {resourcetemplates: [{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {generateName: push-}, spec: {serviceAccountName: builder, taskRef: {resolver: cluster, params: [{name: kind, value: task}, {name: name, value: t}, {name: namespace, value: ci}]}}}]}}
`

const roleOfArticle = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: triggers-role}
rules:
- apiGroups: [triggers.tekton.dev]
  resources: [eventlisteners, triggers, triggerbindings, triggertemplates, clustertriggerbindings, clusterinterceptors]
  verbs: [get, list, watch, create]
- apiGroups: [""]
  resources: [configmaps, secrets, serviceaccounts, services, pods]
  verbs: [get, list, watch, create]
- apiGroups: [tekton.dev]
  resources: [pipelineruns, pipelineresources, taskruns, task]
  verbs: [create, get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: gitsa-triggers}
subjects: [{kind: ServiceAccount, namespace: default, name: gitsa}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: triggers-role}
`

// TestLintPermissions holds what lint finds by the roles beside an EventListener that names no namespace.
func TestLintPermissions(t *testing.T) {
	const only = "--only=account-too-weak,account-too-strong,role-resource,role-wildcard"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"the role of the article": {map[string]string{"l.yaml": listenerOf, "r.yaml": roleOfArticle},
			"l.yaml:6:23 warning account-too-strong\nl.yaml:6:23 error account-too-weak\n" +
				"r.yaml:13:58 warning role-resource"}, // interceptors are not among its resources
		"no roles": {map[string]string{"l.yaml": listenerOf}, ""},
		"elsewhere": {map[string]string{"l.yaml": listenerOf, "r.yaml": roleOfArticle,
			".tekgatelint": "elsewhere:\n  RoleBinding: ['*']\n"},
			"l.yaml:6:23 warning account-too-strong\nr.yaml:13:58 warning role-resource"},
	} {
		t.Run(name, func(t *testing.T) {
			layout(t, c.files)
			if got := found(t, only); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
