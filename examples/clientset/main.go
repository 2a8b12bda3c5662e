// Command clientset starts a TaskRun with Tekton's clientset, waits for it and prints how it ended.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"
	"knative.dev/pkg/apis"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")) // without it, the Pod's ServiceAccount
	if err != nil {
		return err
	}
	runs := versioned.NewForConfigOrDie(config).TektonV1().TaskRuns("default")
	steps := []v1.Step{{Name: "greet", Image: "docker.io/library/busybox", Script: "echo hello"}}
	created, err := runs.Create(ctx, &v1.TaskRun{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "hello-"},
		Spec:       v1.TaskRunSpec{TaskSpec: &v1.TaskSpec{Steps: steps}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "created %s/%s\n", created.Namespace, created.Name)
	watchOne := func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.FieldSelector = "metadata.name=" + created.Name
		return runs.Watch(ctx, o)
	}
	// Until watches again when the connection ends, from where it was.
	changes := &cache.ListWatch{WatchFuncWithContext: watchOne}
	last, err := watchtools.Until(ctx, created.ResourceVersion, changes, func(e watch.Event) (bool, error) {
		return e.Type == watch.Deleted || e.Object.(*v1.TaskRun).IsDone(), nil
	})
	if err != nil {
		return err
	}
	condition := last.Object.(*v1.TaskRun).Status.GetCondition(apis.ConditionSucceeded)
	_, err = fmt.Fprintf(out, "%s: %s\n", condition.GetReason(), condition.GetMessage())
	return err
}
