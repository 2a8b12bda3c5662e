package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// tasks look up Tasks, in a cache that is filled as soon as the cluster has
// Tekton, which may be installed after this server has started.
type tasks struct {
	server.EveryReplica
	live   client.Reader
	cached client.Reader
	cache  cache.Cache
	mapper meta.RESTMapper
	log    logr.Logger
	retry  time.Duration

	watched atomic.Pointer[watchedTasks]
}

type watchedTasks struct {
	kind     schema.GroupVersionKind
	informer cache.Informer
}

var taskKind = schema.GroupKind{Group: "tekton.dev", Kind: "Task"}

// Start waits until Tasks are served, and watches them from then on.
func (t *tasks) Start(ctx context.Context) error {
	for {
		mapping, err := t.mapper.RESTMapping(taskKind)
		if err == nil {
			return t.watch(ctx, mapping.GroupVersionKind)
		}
		if !server.Sleep(ctx, t.retry, nil) {
			return nil
		}
	}
}

func (t *tasks) watch(ctx context.Context, kind schema.GroupVersionKind) error {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	informer, err := t.cache.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching Tasks: %w", err)
	}
	t.watched.Store(&watchedTasks{kind, informer})
	t.log.Info("watching Tasks", "version", kind.Version)
	return nil
}

// get returns what mutator.Cluster promises. A Task that the cache does not have
// is asked for, since it may have been created a moment ago.
func (t *tasks) get(ctx context.Context, namespace, name string) (map[string]any, error) {
	object := &unstructured.Unstructured{}
	key := client.ObjectKey{Namespace: namespace, Name: name}
	if watched := t.watched.Load(); watched == nil {
		// There is a run, so Tekton may be installed by now, although it was not when
		// Start looked last.
		mapping, err := t.mapper.RESTMapping(taskKind)
		if meta.IsNoMatchError(err) {
			return nil, nil // the cluster has no Tekton that could run it
		}
		if err != nil {
			return nil, fmt.Errorf("asking which version of Tasks is served: %w", err)
		}
		object.SetGroupVersionKind(mapping.GroupVersionKind)
	} else {
		object.SetGroupVersionKind(watched.kind)
		if watched.informer.HasSynced() && t.cached.Get(ctx, key, object) == nil {
			return unpackTask(object)
		}
	}
	err := t.live.Get(ctx, key, object)
	if kube.Absent(err) {
		return nil, nil
	}
	return object.Object, err
}

// packed is where a Task in the cache has its specification, as text: decoded it
// takes ten times the memory, and few are ever looked up.
const packed = "packed"

// keepTask reduces a Task to what is looked up in it. Everything else that the
// cache holds stays as it is.
func keepTask(log logr.Logger) func(any) (any, error) {
	return func(in any) (any, error) {
		object, ok := in.(*unstructured.Unstructured)
		if !ok || object.GroupVersionKind().GroupKind() != taskKind {
			return in, nil
		}
		if _, done := object.Object[packed]; done {
			return in, nil
		}
		text, err := json.Marshal(object.Object["spec"])
		if err != nil {
			log.Error(err, "keeping a Task", "namespace", object.GetNamespace(), "name", object.GetName())
			return in, nil
		}
		small := &unstructured.Unstructured{Object: map[string]any{packed: string(text)}}
		small.SetGroupVersionKind(object.GroupVersionKind())
		small.SetNamespace(object.GetNamespace())
		small.SetName(object.GetName())
		small.SetUID(object.GetUID())
		small.SetResourceVersion(object.GetResourceVersion())
		ours := map[string]string{}
		for _, key := range []string{wellknown.MutateKey, wellknown.SkipRulesKey} {
			if value, ok := object.GetAnnotations()[key]; ok {
				ours[key] = value
			}
		}
		if len(ours) > 0 {
			small.SetAnnotations(ours)
		}
		return small, nil
	}
}

func unpackTask(object *unstructured.Unstructured) (map[string]any, error) {
	text, ok := object.Object[packed].(string)
	if !ok {
		return object.Object, nil
	}
	var spec map[string]any
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return nil, fmt.Errorf("reading Task %q: %w", object.GetName(), err)
	}
	return map[string]any{"metadata": object.Object["metadata"], "spec": spec}, nil
}
