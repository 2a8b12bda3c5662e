package main

import (
	"encoding/json"
	"fmt"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// jobConfig is what every candidate of a control plane has to do: give runs a
// ServiceAccount, each step a variable, and images a mirror. The rule for Kaniko is off,
// because the other candidates have no such policy, and so is the one that has runs fetch their
// Tasks: policies cannot do that, and the job's runs name none.
const jobConfig = `apiVersion: ` + wellknown.APIVersion + `
kind: Configuration
mutator:
  serviceAccount: {name: ` + baseline.ServiceAccount + `}
  env: {set: [{variables: [{name: ` + baseline.Variable + `, value: "` + baseline.Value + `"}]}]}
  imageMirror:
    enabled: true
    mirror:
      rules:
      - {match: docker.io/**, to: "` + baseline.Mirror + `/hub/{path}"}
      - {match: gcr.io/**, to: "` + baseline.Mirror + `/gcr/{path}"}
  kaniko: {disabled: true}
  localTasks: {disabled: true}
`

// jobTraces are in every object after the job.
var jobTraces = []string{
	`"serviceAccountName":"` + baseline.ServiceAccount + `"`,
	`"` + baseline.Variable + `"`,
	`"` + baseline.Mirror + `/`,
}

const (
	taskRuns     = "apis/tekton.dev/v1/taskruns"
	pipelineRuns = "apis/tekton.dev/v1/pipelineruns"
)

// taskRun is the TaskRun of the other benchmarks as a user creates it.
func taskRun(name string) map[string]any {
	run := baseline.TaskRun()
	run["metadata"] = map[string]any{
		"name": name, "labels": map[string]any{"app.kubernetes.io/name": "app"},
		"annotations": map[string]any{"example.com/commit": "0123456789abcdef"},
	}
	return run
}

// pipelineRun has the steps of that TaskRun in each of its tasks.
func pipelineRun(tasks int) map[string]any {
	spec, _ := baseline.TaskRun()["spec"].(map[string]any)
	list := make([]map[string]any, 0, tasks)
	for i := range tasks {
		list = append(list, map[string]any{
			"name": fmt.Sprintf("task-%d", i), "taskSpec": spec["taskSpec"],
			"workspaces": []map[string]any{{"name": "source", "workspace": "source"}},
		})
	}
	metadata := map[string]any{
		"name": "burst", "annotations": map[string]any{"example.com/commit": "0123456789abcdef"},
	}
	return map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": metadata,
		"spec": map[string]any{
			"workspaces":   spec["workspaces"],
			"pipelineSpec": map[string]any{"workspaces": []map[string]any{{"name": "source"}}, "tasks": list},
		},
	}
}

// encode encodes maps, lists and strings, which cannot fail.
func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
