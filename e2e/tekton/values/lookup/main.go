// Command lookup makes the Pod of a TaskRun with the code of Tekton's controller, which looks up what
// the image of a step starts, and prints why that fails. It creates nothing.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/pod"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: lookup KUBECONFIG IMAGE [COMMAND...]")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "lookup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, image string, command []string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	cache, err := pod.NewEntrypointCache(client)
	if err != nil {
		return err
	}
	builder := pod.Builder{KubeClient: client, EntrypointCache: cache,
		Images: pipeline.Images{EntrypointImage: "entrypoint", NopImage: "nop", ShellImage: "shell"}}
	_, err = builder.Build(ctx, &pipelinev1.TaskRun{
		ObjectMeta: metav1.ObjectMeta{Name: "run", Namespace: "default"},
		Spec:       pipelinev1.TaskRunSpec{ServiceAccountName: "default"},
	}, pipelinev1.TaskSpec{Steps: []pipelinev1.Step{{Name: "a", Image: image, Command: command}}})
	if err != nil {
		fmt.Println(err)
	}
	return nil
}
