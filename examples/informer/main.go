// Command informer prints the state of PipelineRuns, and each change of it, until it is interrupted.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned"
	"github.com/tektoncd/pipeline/pkg/client/informers/externalversions"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
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
	factory := externalversions.NewSharedInformerFactoryWithOptions(versioned.NewForConfigOrDie(config), 0, // no resync
		externalversions.WithTransform(func(obj any) (any, error) {
			if r, ok := obj.(*v1.PipelineRun); ok { // what is not printed takes no memory
				r.ManagedFields, r.Spec, r.Status.PipelineSpec = nil, v1.PipelineRunSpec{}, nil
			}
			return obj, nil
		}))
	informer := factory.Tekton().V1().PipelineRuns().Informer() // before Start, which starts those that exist
	show := func(obj any) { fmt.Fprintln(out, state(obj)) }
	change := func(old, obj any) {
		if state(old) != state(obj) { // a relist and a resync report runs that have not changed, too
			show(obj)
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: show, UpdateFunc: change})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown() // waits for the informers
	cache.WaitForCacheSync(ctx.Done(), informer.HasSynced)
	fmt.Fprintf(out, "%d runs exist\n", len(informer.GetStore().ListKeys()))
	<-ctx.Done()
	return nil
}

func state(obj any) string {
	r := obj.(*v1.PipelineRun)
	return fmt.Sprintf("%s/%s %s", r.Namespace, r.Name, r.Status.GetCondition(apis.ConditionSucceeded).GetReason())
}
