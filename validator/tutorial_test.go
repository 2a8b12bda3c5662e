package validator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// oldObjects are what tutorials of Pipelines v0.27 and Triggers v0.16 and before are
// made of: a build from git to an image by PipelineResources, started by an
// EventListener.
const oldObjects = `
apiVersion: tekton.dev/v1alpha1
kind: PipelineResource
metadata: {name: app-source}
spec:
  type: git
  params:
    - {name: url, value: "git@git.example.com:team/app.git"}
---
apiVersion: tekton.dev/v1alpha1
kind: PipelineResource
metadata: {name: app-image}
spec:
  type: image
  params:
    - {name: url, value: "registry.example.com/team/app:1"}
---
apiVersion: tekton.dev/v1alpha1
kind: Task
metadata: {name: image-build}
spec:
  resources:
    inputs: [{name: code, type: git}]
    outputs: [{name: image, type: image}]
  steps:
    - {name: build, image: registry.example.com/kaniko:1, command: [/kaniko/executor]}
---
apiVersion: tekton.dev/v1beta1
kind: Pipeline
metadata: {name: image}
spec:
  resources: [{name: code, type: git}]
  tasks:
    - name: build
      taskRef: {name: image-build}
      resources:
        inputs: [{name: code, resource: code}]
---
apiVersion: tekton.dev/v1beta1
kind: PipelineRun
metadata: {name: image-1}
spec:
  serviceAccountName: builder
  resources:
    - name: code
      resourceRef: {name: app-source}
  pipelineRef: {name: image}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: on-push}
spec:
  params: [{name: revision}]
  resourcetemplates:
    - apiVersion: tekton.dev/v1beta1
      kind: TaskRun
      metadata: {generateName: on-push-}
      spec:
        serviceAccountName: builder
        taskSpec:
          resources:
            inputs: [{name: code, type: git}]
          steps: [{image: registry.example.com/kaniko:1}]
        resources:
          inputs:
            - name: code
              resourceSpec: {type: git, params: [{name: revision, value: $(tt.params.revision)}]}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: pushes}
spec:
  serviceAccountName: builder
  serviceType: NodePort
  triggers:
    - name: push
      interceptors:
        - github:
            secretRef: {secretName: hook, secretKey: token}
      bindings: [{name: push}]
      template: {name: on-push}
---
apiVersion: triggers.tekton.dev/v1alpha1
kind: ClusterInterceptor
metadata: {name: own-check}
spec:
  clientConfig: {url: "http://own-check.ci.svc/"}
`

// TestOldTutorial wants, for each thing that is no more, a finding that names what
// stands in its place.
func TestOldTutorial(t *testing.T) {
	want := []string{
		"PipelineResource app-source spec removed-resources git-clone",
		"PipelineResource app-image spec removed-resources a param",
		"Task image-build apiVersion removed-api tekton.dev/v1,",
		"Task image-build spec.resources removed-resources workspace",
		"Pipeline image apiVersion deprecated-api tekton.dev/v1",
		"Pipeline image spec.resources removed-resources workspace",
		"Pipeline image spec.tasks[0].resources removed-resources workspace",
		"PipelineRun image-1 spec.resources removed-resources workspace",
		"TriggerTemplate on-push spec.resourcetemplates[0].apiVersion deprecated-api tekton.dev/v1",
		"TriggerTemplate on-push spec.resourcetemplates[0].spec.resources removed-resources workspace",
		"TriggerTemplate on-push spec.resourcetemplates[0].spec.taskSpec.resources removed-resources workspace",
		"EventListener pushes spec.serviceType legacy-trigger resources.kubernetesResource.serviceType",
		"EventListener pushes spec.triggers[0].bindings[0].name legacy-trigger ref: push",
		"EventListener pushes spec.triggers[0].template.name legacy-trigger ref: on-push",
		"EventListener pushes spec.triggers[0].interceptors[0].github legacy-trigger ref: {name: github}",
		"ClusterInterceptor own-check spec.clientConfig.url interceptor-plain-http service with name, namespace and path",
	}
	subjects := subjects(t, "tutorial.yaml", oldObjects)
	v := &validator.Validator{Config: validator.Default(), Cluster: validator.NewSet(subjects)}
	found := map[string]string{}
	for _, s := range subjects {
		for _, f := range v.Judge(t.Context(), s).Findings {
			found[fmt.Sprintf("%s %s %s %s", s.Kind.Kind, s.Name(), f.Path, f.Rule)] = f.Message
		}
	}
	for _, line := range want {
		words := strings.SplitN(line, " ", 5)
		key, modern := strings.Join(words[:4], " "), words[4]
		if !strings.Contains(found[key], modern) {
			t.Errorf("%s: finding %q does not tell of %q", key, found[key], modern)
		}
		delete(found, key)
	}
	for key, message := range found {
		words := strings.Fields(key)
		if slices.Contains([]string{"removed-api", "removed-resources", "legacy-trigger"}, words[3]) {
			t.Errorf("%s: unexpected finding %q", key, message)
		}
	}
}
