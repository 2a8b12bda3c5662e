package main

import (
	"encoding/json"
	"fmt"

	"github.com/tekgate/tekgate/e2e/baseline"
)

// jobConfig is the job of all arms in our words: a ServiceAccount for runs that name
// none, a variable for each step, and a mirror. Kaniko's rule is no part of it, nor of
// what CEL can say.
const jobConfig = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mutator:
  serviceAccount: {name: ` + baseline.ServiceAccount + `}
  env: {set: [{variables: [{name: ` + baseline.Variable + `, value: "` + baseline.Value + `"}]}]}
  imageMirror: {enabled: true, mirror: {rules: [{match: docker.io/**, to: "` + baseline.Mirror + `/hub/{path}"}, {match: gcr.io/**, to: "` + baseline.Mirror + `/gcr/{path}"}]}}
  kaniko: {disabled: true}
`

const (
	taskRuns     = "apis/tekton.dev/v1/taskruns"
	pipelineRuns = "apis/tekton.dev/v1/pipelineruns"
)

// jobTraces are what the job leaves in an object.
var jobTraces = []string{`"serviceAccountName":"` + baseline.ServiceAccount + `"`, `"` + baseline.Variable + `"`, `"` + baseline.Mirror + `/`}

// taskRun is what all arms are sent: the TaskRun of the other benchmarks as its author
// sends it.
func taskRun() []byte {
	run := baseline.TaskRun()
	run["metadata"] = map[string]any{
		"name": "build", "labels": map[string]any{"app.kubernetes.io/name": "app"}, "annotations": map[string]any{"example.com/commit": "0123456789abcdef"},
	}
	return encode(run)
}

// renamed gives an object another name.
func renamed(object []byte, name string) map[string]any {
	var fields map[string]any
	if err := json.Unmarshal(object, &fields); err != nil {
		panic(err) // it is what encode has made
	}
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		metadata["name"] = name
	}
	return fields
}

// pipelineRun has the steps of that TaskRun in each of its tasks.
func pipelineRun(tasks int) []byte {
	spec, _ := baseline.TaskRun()["spec"].(map[string]any)
	list := make([]map[string]any, 0, tasks)
	for i := range tasks {
		list = append(list, map[string]any{
			"name": fmt.Sprintf("task-%d", i), "taskSpec": spec["taskSpec"], "workspaces": []map[string]any{{"name": "source", "workspace": "source"}},
		})
	}
	return encode(map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
		"metadata": map[string]any{"name": "herd", "annotations": map[string]any{"example.com/commit": "0123456789abcdef"}},
		"spec": map[string]any{
			"workspaces":   spec["workspaces"],
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
