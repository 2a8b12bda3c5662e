// Package baseline is what the benchmarks of Tekgate's servers have in common: the
// TaskRun that is sent, as an API server sends it; the configuration with every rule
// on; and what the servers are measured against: the least that a webhook can do, and
// the handler that kubebuilder's users would write.
package baseline

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Configuration is the section `mutator` of a configuration file in which each rule
// has something to do with the TaskRun.
const Configuration = `
serviceAccount: {name: builder}
kaniko: {image: "ghcr.io/osscontainertools/kaniko:v1.28.3", registryMirror: m.example.com, args: [--push-retry=3]}
env: {set: [{variables: [{name: GOPROXY, value: "https://goproxy.example.com"}]}]}
resources: {set: [{limits: {memory: 1Gi}}]}
imagePullSecrets: {names: [mirror]}
podTemplate: {nodeSelector: {builds: "true"}}
imageMirror: {enabled: true, mirror: {rules: [{match: docker.io/**, to: "m.example.com/hub/{path}"}, {match: gcr.io/**, to: "m.example.com/gcr/{path}"}, {match: ghcr.io/**, to: "m.example.com/ghcr/{path}"}]}}
`

// What all arms that do the job give to the TaskRun.
const (
	ServiceAccount = "builder"
	Mirror         = "m.example.com"
	Variable       = "GOPROXY"
	Value          = "https://goproxy.example.com"
)

// TaskRun is a usual one of four steps, one of them Kaniko's, managed fields and all.
func TaskRun() map[string]any {
	deploy := step("deploy", "bitnami/kubectl:1.33")
	delete(deploy, "computeResources")
	var owned strings.Builder
	for i := range 12 {
		fmt.Fprintf(&owned, `"f:field%d":{},`, i)
	}
	return map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{
			"generateName": "build-", "namespace": "ci", "uid": "00000000-0000-0000-0000-000000000001", "generation": 1,
			"labels": map[string]any{"app.kubernetes.io/name": "app"},
			"managedFields": []map[string]any{{"manager": "kubectl-create", "operation": "Update", "apiVersion": "tekton.dev/v1",
				"fieldsType": "FieldsV1", "fieldsV1": json.RawMessage(`{"f:spec":{` + strings.TrimSuffix(owned.String(), ",") + `}}`)}},
		},
		"spec": map[string]any{
			"workspaces": []map[string]any{{"name": "source", "emptyDir": map[string]any{}}},
			"taskSpec": map[string]any{
				"workspaces": []map[string]any{{"name": "source"}},
				"steps": []map[string]any{
					step("fetch", "alpine/git:v2.49.0"), step("test", "golang:1.26"),
					step("build", "gcr.io/kaniko-project/executor:v1.24.0"), deploy,
				},
			},
		},
	}
}

func step(name, image string) map[string]any {
	return map[string]any{
		"name": name, "image": image,
		"args":             []string{"--context=$(workspaces.source.path)", "--destination=registry.example.com/team/app:v1"},
		"env":              []map[string]any{{"name": "GOFLAGS", "value": "-mod=vendor"}, {"name": "CGO_ENABLED", "value": "0"}},
		"computeResources": map[string]any{"requests": map[string]any{"cpu": "500m", "memory": "512Mi"}},
	}
}

// Review is what an API server sends when somebody creates a TaskRun.
func Review(object map[string]any) ([]byte, error) {
	kind := map[string]any{"group": "tekton.dev", "version": "v1", "kind": "TaskRun"}
	resource := map[string]any{"group": "tekton.dev", "version": "v1", "resource": "taskruns"}
	return ReviewOf(object, kind, resource)
}

// ReviewOf is Review for another kind.
func ReviewOf(object, kind, resource map[string]any) ([]byte, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "u", "operation": "CREATE", "namespace": "ci",
			"kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
			"userInfo": map[string]any{"username": "system:serviceaccount:ci:default", "groups": []string{"system:authenticated"}},
			"object":   object, "oldObject": nil, "dryRun": false,
			"options": map[string]any{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a review: %w", err)
	}
	return body, nil
}
