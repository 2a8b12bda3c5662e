// Values prints what Tekton's own code makes of the params of runs: it reads TaskRuns and
// PipelineRuns of version v1 as JSON, one per line, and writes for each a line with the task
// specifications that its Pods are made from. Our resolver is compared with that.
//
// It is a module of its own, since Tekton's reconcilers need the clients of three clouds.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelines "github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun/resources"
	tasks "github.com/tektoncd/pipeline/pkg/reconciler/taskrun/resources"
)

// answer is what becomes of one run.
type answer struct {
	Error string                   `json:"error,omitempty"` // why Tekton would not run it
	Tasks map[string][]v1.TaskSpec `json:"tasks"`           // by where the task is in the run
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	writer := json.NewEncoder(out)
	for lines.Scan() {
		answer, err := resolve(context.Background(), lines.Bytes())
		if err != nil {
			return err
		}
		if err := writer.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func resolve(ctx context.Context, raw []byte) (answer, error) {
	var meta struct{ Kind string }
	if err := json.Unmarshal(raw, &meta); err != nil {
		return answer{}, err
	}
	found := answer{Tasks: map[string][]v1.TaskSpec{}}
	if meta.Kind == "TaskRun" {
		var run v1.TaskRun
		if err := json.Unmarshal(raw, &run); err != nil {
			return answer{}, err
		}
		found.Tasks["spec.taskSpec"] = []v1.TaskSpec{final(ctx, &run)}
		return found, nil
	}
	var run v1.PipelineRun
	if err := json.Unmarshal(raw, &run); err != nil {
		return answer{}, err
	}
	run.SetDefaults(ctx)
	spec, err := pipelines.ApplyParameters(run.Spec.PipelineSpec, &run)
	if err != nil {
		return answer{Error: err.Error()}, nil
	}
	for list, all := range map[string][]v1.PipelineTask{"tasks": spec.Tasks, "finally": spec.Finally} {
		for i, task := range all {
			path := fmt.Sprintf("spec.pipelineSpec.%s[%d].taskSpec", list, i)
			found.Tasks[path] = children(ctx, task)
		}
	}
	return found, nil
}

// children does what createTaskRuns does.
func children(ctx context.Context, task v1.PipelineTask) []v1.TaskSpec {
	combinations := []v1.Params{nil}
	if task.IsMatrixed() {
		combinations = task.Matrix.FanOut()
	}
	var specs []v1.TaskSpec
	for _, params := range combinations {
		run := v1.TaskRun{}
		run.Spec.Params = append(params, task.Params...)
		run.Spec.TaskSpec = &task.TaskSpec.TaskSpec
		specs = append(specs, final(ctx, &run))
	}
	return specs
}

// final is the specification that the Pod of a run is made from.
func final(ctx context.Context, run *v1.TaskRun) v1.TaskSpec {
	run = run.DeepCopy()
	run.SetDefaults(ctx)
	return *tasks.ApplyParameters(run.Spec.TaskSpec, run, run.Spec.TaskSpec.Params...)
}
