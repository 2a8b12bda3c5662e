package main

import (
	"encoding/json"
	"fmt"
)

// jobConfig is the job of all arms in our words: a ServiceAccount for runs that name
// none, DOCKER_CONFIG for the step that pushes an image, and a mirror for Docker Hub.
const jobConfig = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror:
  rules:
  - {match: docker.io/**, to: "mirror.example.com/hub/{path}"}
mutator:
  serviceAccount: {name: builder}
  imageMirror: {enabled: true}
  kaniko: {disabled: true} # no part of the job, and not of what CEL can say
`

const (
	taskRuns     = "apis/tekton.dev/v1/taskruns"
	pipelineRuns = "apis/tekton.dev/v1/pipelineruns"
)

// traces of the job in an object.
var jobTraces = []string{`"serviceAccountName":"builder"`, `"DOCKER_CONFIG"`, `mirror.example.com/hub/`}

// taskSpec is a usual task of four steps.
func taskSpec() map[string]any {
	step := func(name, image string) map[string]any {
		return map[string]any{
			"name": name, "image": image,
			"args":             []string{"--context=$(workspaces.source.path)", "--destination=registry.example.com/team/app:v1"},
			"env":              []map[string]any{{"name": "GOFLAGS", "value": "-mod=vendor"}, {"name": "CGO_ENABLED", "value": "0"}},
			"computeResources": map[string]any{"requests": map[string]any{"cpu": "500m", "memory": "512Mi"}},
		}
	}
	return map[string]any{
		"workspaces": []map[string]any{{"name": "source"}},
		"steps": []map[string]any{
			step("fetch", "docker.io/alpine/git:v2.49.0"), step("test", "docker.io/library/golang:1.26"),
			step("build", "gcr.io/kaniko-project/executor:v1.24.0"), step("deploy", "docker.io/bitnami/kubectl:1.33"),
		},
	}
}

// taskRun is what all arms are sent.
func taskRun() []byte {
	return encode(map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{"name": "build", "labels": map[string]any{"app.kubernetes.io/name": "app"}, "annotations": map[string]any{"example.com/commit": "0123456789abcdef"}},
		"spec":     map[string]any{"workspaces": []map[string]any{{"name": "source", "emptyDir": map[string]any{}}}, "taskSpec": taskSpec()},
	})
}

// pipelineRun embeds some tasks.
func pipelineRun(tasks int) []byte {
	list := make([]map[string]any, 0, tasks)
	for i := range tasks {
		list = append(list, map[string]any{
			"name": fmt.Sprintf("task-%d", i), "taskSpec": taskSpec(), "workspaces": []map[string]any{{"name": "source", "workspace": "source"}},
		})
	}
	return encode(map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
		"metadata": map[string]any{"name": "herd", "annotations": map[string]any{"example.com/commit": "0123456789abcdef"}},
		"spec": map[string]any{
			"workspaces":   []map[string]any{{"name": "source", "emptyDir": map[string]any{}}},
			"pipelineSpec": map[string]any{"workspaces": []map[string]any{{"name": "source"}}, "tasks": list},
		},
	})
}

// encode encodes what is made of maps, lists and strings, which cannot fail.
func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
