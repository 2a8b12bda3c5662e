package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

const (
	namespace = "bench"
	// failed is the run that is described and explained.
	failed = "build-00000"
	// parallel is the number of requests at one time.
	parallel = 16
)

// populate creates Tekton's kinds and the runs.
func populate(ctx context.Context, config *rest.Config, runs int) error {
	c, err := kube.Client(kube.Unthrottled(config), corev1.AddToScheme)
	if err != nil {
		return err
	}
	if err := cluster.InstallCRDs(ctx, c, "github.com/tektoncd/pipeline", "config/300-crds/*.yaml"); err != nil {
		return err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := c.Create(ctx, ns); err != nil {
		return fmt.Errorf("creating the namespace: %w", err)
	}
	if err := createTaskRuns(ctx, c); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range runs {
		group.Go(func() error { return create(ctx, c, i) })
	}
	return group.Wait()
}

// create creates one run with the status that Tekton would give it.
func create(ctx context.Context, c client.Client, i int) error {
	began := time.Date(2026, 8, 1, 0, 0, i, 0, time.UTC)
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
		"metadata": map[string]any{
			"name": fmt.Sprintf("build-%05d", i), "namespace": namespace,
			"labels": map[string]any{"app": "web", "app.kubernetes.io/managed-by": "EventListener",
				"tekton.dev/pipeline": fmt.Sprintf("build-%05d", i)},
			"annotations": map[string]any{"example.com/description": text(8)},
		},
		"spec": map[string]any{"pipelineSpec": pipeline(), "params": []any{
			map[string]any{"name": "url", "value": "https://git.example.com/team/app.git"},
			map[string]any{"name": "revision", "value": "5f3c1c0b8ab5ad3f9ae7ad6a2d1f6e1f6b1a2c3d"},
		}},
	}}
	return createWith(ctx, c, obj, finished(i, began))
}

// createTaskRuns creates the TaskRuns of the run that is described and explained.
func createTaskRuns(ctx context.Context, c client.Client) error {
	for i, task := range tasks {
		obj := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
			"metadata": map[string]any{"name": failed + "-" + task, "namespace": namespace,
				"labels": map[string]any{"tekton.dev/pipelineRun": failed, "tekton.dev/pipelineTask": task}},
			"spec": map[string]any{"taskSpec": map[string]any{"steps": []any{map[string]any{
				"name": "run", "image": "registry.example.com/tools/" + task + ":4.5.6", "script": text(4)}}}},
		}}
		condition := map[string]any{"type": "Succeeded", "status": "True", "reason": "Succeeded",
			"message": "All Steps have completed executing", "lastTransitionTime": "2026-08-01T00:01:00Z"}
		if i == len(tasks)-1 {
			condition["status"], condition["reason"] = "False", "Failed"
			condition["message"] = `"step-run" exited with code 1`
		}
		status := map[string]any{"podName": failed + "-" + task + "-pod", "startTime": "2026-08-01T00:00:00Z",
			"completionTime": "2026-08-01T00:01:00Z", "conditions": []any{condition}}
		if err := createWith(ctx, c, obj, status); err != nil {
			return err
		}
	}
	return nil
}

func createWith(ctx context.Context, c client.Client, obj *unstructured.Unstructured, status map[string]any) error {
	if err := c.Create(ctx, obj); err != nil {
		return fmt.Errorf("creating a run: %w", err)
	}
	obj.Object["status"] = status
	if err := c.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("writing the status of a run: %w", err)
	}
	return nil
}

var tasks = []string{"fetch", "test", "build", "deploy"}

// finished is the status of a run that ended.
func finished(i int, began time.Time) map[string]any {
	condition := map[string]any{
		"type": "Succeeded", "status": "True", "reason": "Succeeded",
		"message": "Tasks Completed: 4 (Failed: 0, Cancelled 0), Skipped: 0", "lastTransitionTime": stamp(began, 90),
	}
	if i%10 == 0 {
		condition["status"], condition["reason"] = "False", "Failed"
		condition["message"] = "Tasks Completed: 3 (Failed: 1, Cancelled 0), Skipped: 1"
	}
	var children []any
	for _, task := range tasks {
		children = append(children, map[string]any{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
			"name": fmt.Sprintf("build-%05d-%s", i, task), "pipelineTaskName": task})
	}
	return map[string]any{
		"startTime": stamp(began, 0), "completionTime": stamp(began, 90), "conditions": []any{condition},
		"childReferences": children, "pipelineSpec": pipeline(),
		"provenance": map[string]any{"featureFlags": map[string]any{"coschedule": "workspaces",
			"enableAPIFields": "beta", "maxResultSize": int64(4096), "resultExtractionMethod": "termination-message"}},
	}
}

func stamp(began time.Time, seconds int) string {
	return began.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339)
}

// pipeline is a Pipeline of four tasks.
func pipeline() map[string]any {
	var list []any
	for i, task := range tasks {
		one := map[string]any{
			"name": task, "params": []any{map[string]any{"name": "revision", "value": "$(params.revision)"}},
			"taskSpec": map[string]any{
				"params": []any{map[string]any{"name": "revision", "type": "string", "description": text(1)}},
				"steps": []any{
					map[string]any{"name": "prepare", "image": "registry.example.com/tools/shell:1.2.3", "script": text(4)},
					map[string]any{"name": "run", "image": "registry.example.com/tools/" + task + ":4.5.6", "script": text(4)},
				},
			},
		}
		if i > 0 {
			one["runAfter"] = []any{tasks[i-1]}
		}
		list = append(list, one)
	}
	param := func(name string) any { return map[string]any{"name": name, "type": "string", "description": text(1)} }
	return map[string]any{"tasks": list, "params": []any{param("url"), param("revision")}}
}

// text returns some lines, of 60 bytes each.
func text(lines int) string {
	var all string
	for range lines {
		all += "echo building the application for its users with the tools\n"
	}
	return all
}
