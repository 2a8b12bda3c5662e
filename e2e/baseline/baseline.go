// Package baseline provides what the benchmarks of Tekgate's servers compare it with.
//
// It has the TaskRun that all candidates get, as an API server sends it, a configuration
// in which every mutator rule has something to do, and two handlers: the least that a
// webhook can do, and the one that kubebuilder's documentation teaches.
package baseline

import (
	"encoding/json"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Configuration is the section `mutator` of a configuration file in which each rule
// changes the TaskRun.
const Configuration = `
serviceAccount: {name: builder}
kaniko: {image: "ghcr.io/osscontainertools/kaniko:v1.28.3", registryMirror: m.example.com, args: [--push-retry=3]}
env: {set: [{variables: [{name: GOPROXY, value: "https://goproxy.example.com"}]}]}
resources: {set: [{limits: {memory: 1Gi}}]}
imagePullSecrets: {names: [mirror]}
podTemplate: {nodeSelector: {builds: "true"}}
imageMirror:
  enabled: true
  mirror:
    rules:
    - {match: docker.io/**, to: "m.example.com/hub/{path}"}
    - {match: gcr.io/**, to: "m.example.com/gcr/{path}"}
    - {match: ghcr.io/**, to: "m.example.com/ghcr/{path}"}
`

// What each candidate gives the TaskRun.
const (
	ServiceAccount = "builder"
	Mirror         = "m.example.com"
	Variable       = "GOPROXY"
	Value          = "https://goproxy.example.com"
)

// TaskRun is a usual one of four steps, one of them Kaniko's, with managed fields.
func TaskRun() map[string]any {
	deploy := step("deploy", "bitnami/kubectl:1.33")
	delete(deploy, "computeResources")
	var owned strings.Builder
	for i := range 12 {
		fmt.Fprintf(&owned, `"f:field%d":{},`, i)
	}
	managed := map[string]any{
		"manager": "kubectl-create", "operation": "Update", "apiVersion": "tekton.dev/v1",
		"fieldsType": "FieldsV1",
		"fieldsV1":   json.RawMessage(`{"f:spec":{` + strings.TrimSuffix(owned.String(), ",") + `}}`),
	}
	return map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{
			"generateName": "build-", "namespace": "ci", "uid": "00000000-0000-0000-0000-000000000001", "generation": 1,
			"labels":        map[string]any{"app.kubernetes.io/name": "app"},
			"managedFields": []map[string]any{managed},
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
		"args": []string{
			"--context=$(workspaces.source.path)", "--destination=registry.example.com/team/app:v1",
		},
		"env": []map[string]any{
			{"name": "GOFLAGS", "value": "-mod=vendor"}, {"name": "CGO_ENABLED", "value": "0"},
		},
		"computeResources": map[string]any{"requests": map[string]any{"cpu": "500m", "memory": "512Mi"}},
	}
}

// uid is that of every review.
const uid = "u"

// Review is what an API server sends when a user creates a TaskRun.
func Review(object map[string]any) ([]byte, error) {
	return ReviewOf(object, metav1.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "TaskRun"}, "taskruns")
}

// ReviewOf is Review for another kind and its resource.
func ReviewOf(object map[string]any, kind metav1.GroupVersionKind, plural string) ([]byte, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encoding an object: %w", err)
	}
	resource := metav1.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: plural}
	dryRun := false
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: uid, Operation: admissionv1.Create, Namespace: "ci",
			Kind: kind, Resource: resource, RequestKind: &kind, RequestResource: &resource,
			UserInfo: authenticationv1.UserInfo{
				Username: "system:serviceaccount:ci:default", Groups: []string{"system:authenticated"},
			},
			Object: runtime.RawExtension{Raw: raw}, DryRun: &dryRun,
			Options: runtime.RawExtension{Raw: []byte(`{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}`)},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a review: %w", err)
	}
	return body, nil
}
