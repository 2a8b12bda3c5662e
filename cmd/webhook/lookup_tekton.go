package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/mutator"
)

// tektonSetup holds the settings of the cluster's Tekton. It reads three ConfigMaps by their
// names at intervals; a watch would cover all ConfigMaps of the namespace.
type tektonSetup struct {
	server.EveryReplica
	live      client.Reader
	cached    cache.Cache
	namespace string
	interval  time.Duration
	log       logr.Logger

	known  atomic.Pointer[mutator.Tekton]
	stood  atomic.Pointer[string] // why no resolver runs, or ""; nil until that is known
	status server.Status
}

// Start reads until ctx ends.
func (t *tektonSetup) Start(ctx context.Context) error {
	informer, err := t.cached.GetInformer(ctx, &appsv1.Deployment{}, cache.BlockUntilSynced(false))
	if err == nil {
		err = t.watch(ctx, informer)
	}
	if err != nil {
		return fmt.Errorf("watching Deployment %s: %w", resolvers, err)
	}
	wait.UntilWithContext(ctx, t.read, t.interval)
	return nil
}

// resolvers is the Deployment of Tekton's resolvers.
const resolvers = "tekton-pipelines-remote-resolvers"

// watch keeps whether the resolvers run: every request asks for that, and few need it. The cache
// learns within a second or so of a Pod that is no longer ready.
func (t *tektonSetup) watch(ctx context.Context, informer cache.Informer) error {
	key := client.ObjectKey{Namespace: mutator.ResolversOf(t.namespace), Name: resolvers}
	keep := func(why string) { t.stood.Store(&why) }
	absent := fmt.Sprintf("there is no Deployment %s: install Tekton's resolvers", key)
	look := func(object any) {
		deployment, ok := object.(*appsv1.Deployment)
		switch {
		case !ok || deployment.Name != key.Name || deployment.Namespace != key.Namespace:
		case deployment.Status.AvailableReplicas == 0:
			keep(fmt.Sprintf("Deployment %s has no Pod that is available: look at its Pods", key))
		default:
			keep("")
		}
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: look, UpdateFunc: func(_, object any) { look(object) }, DeleteFunc: func(any) { keep(absent) },
	})
	if err != nil {
		return err
	}
	go func() {
		if toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			t.stood.CompareAndSwap(nil, &absent)
		}
	}()
	return nil
}

// now returns the settings that were read last, or else the defaults of a current Tekton, and
// whether the resolvers run.
func (t *tektonSetup) now() mutator.Tekton {
	tekton := mutator.Tekton{}
	if known := t.known.Load(); known != nil {
		tekton = *known
	}
	if tekton.Resolver.Down == "" {
		tekton.Resolver.Down = "whether Tekton's resolvers run is not known yet: try again in a moment"
		if why := t.stood.Load(); why != nil {
			tekton.Resolver.Down = *why
		}
	}
	return tekton
}

// read keeps the settings from before if a ConfigMap of Tekton's cannot be read.
func (t *tektonSetup) read(ctx context.Context) {
	data, err := t.data(ctx, t.namespace, mutator.TektonInfo, mutator.TektonFlags, mutator.TektonDefaults)
	if err != nil {
		t.report(err.Error())
		return
	}
	parsed := mutator.ParseTekton(data[mutator.TektonInfo], data[mutator.TektonFlags], data[mutator.TektonDefaults])
	data, err = t.data(ctx, mutator.ResolversOf(t.namespace), mutator.ResolverFlags, mutator.ResolverConfig)
	parsed.Resolver = mutator.ParseResolver(data[mutator.ResolverFlags], data[mutator.ResolverConfig])
	if err == nil {
		t.report("Tekton's settings are known")
	} else {
		t.report(err.Error())
		parsed.Resolver.Down = err.Error()
	}
	t.known.Store(&parsed)
}

// data reads ConfigMaps of a namespace, by their names. One that does not exist is empty.
func (t *tektonSetup) data(ctx context.Context, namespace string, names ...string,
) (data map[string]map[string]string, err error) {
	data = map[string]map[string]string{}
	for _, name := range names {
		var cm corev1.ConfigMap
		err := t.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &cm)
		if err != nil && !kube.Absent(err) {
			return nil, fmt.Errorf("reading Tekton's ConfigMap %s: %w", name, err)
		}
		data[name] = cm.Data
	}
	return data, nil
}

func (t *tektonSetup) report(text string) {
	if t.status.Changed(text) {
		t.log.Info(text)
	}
}
