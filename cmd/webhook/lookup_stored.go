package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// stored looks up what runs name, which is of one kind, in a cache that is filled as soon
// as the cluster has Tekton, which may be installed after this server has started.
type stored struct {
	server.EveryReplica
	wanted schema.GroupKind
	live   client.Reader
	cached client.Reader
	cache  cache.Cache
	mapper meta.RESTMapper
	log    logr.Logger
	retry  time.Duration

	watched atomic.Pointer[watchedKind]
}

type watchedKind struct {
	kind     schema.GroupVersionKind
	informer cache.Informer
}

// The kinds that runs name.
var (
	taskKind   = schema.GroupKind{Group: "tekton.dev", Kind: "Task"}
	actionKind = schema.GroupKind{Group: "tekton.dev", Kind: "StepAction"}
	policyKind = schema.GroupKind{Group: "tekton.dev", Kind: "VerificationPolicy"}
)

// Start waits until the kind is served, and watches them from then on.
func (t *stored) Start(ctx context.Context) error {
	for {
		mapping, err := t.mapper.RESTMapping(t.wanted)
		if err == nil {
			return t.watch(ctx, mapping.GroupVersionKind)
		}
		if !server.Sleep(ctx, t.retry, nil) {
			return nil
		}
	}
}

func (t *stored) watch(ctx context.Context, kind schema.GroupVersionKind) error {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	informer, err := t.cache.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %s: %w", t.wanted, err)
	}
	t.watched.Store(&watchedKind{kind, informer})
	t.log.Info("watching what runs name", "kind", kind.Kind, "version", kind.Version)
	return nil
}

// get returns what mutator.Cluster promises. What the cache does not have is asked for, since
// it may have been created a moment ago.
func (t *stored) get(ctx context.Context, namespace, name string) (map[string]any, error) {
	found := &unstructured.Unstructured{}
	key := client.ObjectKey{Namespace: namespace, Name: name}
	if watched := t.watched.Load(); watched == nil {
		// There is a run, so Tekton may be installed by now, although it was not when
		// Start looked last.
		mapping, err := t.mapper.RESTMapping(t.wanted)
		if meta.IsNoMatchError(err) {
			return nil, nil // the cluster has no Tekton that could run it
		}
		if err != nil {
			return nil, fmt.Errorf("asking which version of %s is served: %w", t.wanted, err)
		}
		found.SetGroupVersionKind(mapping.GroupVersionKind)
	} else {
		found.SetGroupVersionKind(watched.kind)
		if watched.informer.HasSynced() && t.cached.Get(ctx, key, found) == nil {
			return unpack(found)
		}
	}
	err := t.live.Get(ctx, key, found)
	if kube.Absent(err) {
		return nil, nil
	}
	return found.Object, err
}

// packed is where what is in the cache has its specification, as text: decoded it takes
// ten times the memory, and few are ever looked up.
const packed = "packed"

// keepStored reduces what runs name to what is looked up in it. Everything else that the
// cache holds stays as it is.
func keepStored(log logr.Logger) func(any) (any, error) {
	named := []schema.GroupKind{taskKind, actionKind, policyKind}
	return func(in any) (any, error) {
		object, ok := in.(*unstructured.Unstructured)
		if !ok || !slices.Contains(named, object.GroupVersionKind().GroupKind()) {
			return in, nil
		}
		if _, done := object.Object[packed]; done {
			return in, nil
		}
		text, err := json.Marshal(object.Object["spec"])
		if err != nil {
			log.Error(err, "keeping what runs name", "namespace", object.GetNamespace(), "name", object.GetName())
			return in, nil
		}
		small := &unstructured.Unstructured{Object: map[string]any{packed: string(text)}}
		small.SetGroupVersionKind(object.GroupVersionKind())
		small.SetNamespace(object.GetNamespace())
		small.SetName(object.GetName())
		small.SetUID(object.GetUID())
		small.SetResourceVersion(object.GetResourceVersion())
		ours := map[string]string{}
		for _, key := range []string{wellknown.MutateKey, wellknown.SkipRulesKey, wellknown.SignatureKey} {
			if value, ok := object.GetAnnotations()[key]; ok {
				ours[key] = value
			}
		}
		small.SetLabels(object.GetLabels()) // by which rules select
		if len(ours) > 0 {
			small.SetAnnotations(ours)
		}
		return small, nil
	}
}

func unpack(kept *unstructured.Unstructured) (map[string]any, error) {
	text, ok := kept.Object[packed].(string)
	if !ok {
		return kept.Object, nil
	}
	spec, err := object.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", kept.GetKind(), kept.GetName(), err)
	}
	return map[string]any{"apiVersion": kept.GetAPIVersion(), "kind": kept.GetKind(),
		"metadata": kept.Object["metadata"], "spec": spec}, nil
}

// any tells whether the namespace has one, by the cache alone once it is filled.
func (t *stored) any(ctx context.Context, namespace string) (bool, error) {
	watched := t.watched.Load()
	if watched == nil {
		_, err := t.mapper.RESTMapping(t.wanted)
		if meta.IsNoMatchError(err) {
			return false, nil // the cluster has none
		}
		return false, errors.Join(fmt.Errorf("%s are not known yet", t.wanted), err)
	}
	if !watched.informer.HasSynced() {
		return false, fmt.Errorf("%s are not known yet", t.wanted)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(watched.kind.GroupVersion().WithKind(watched.kind.Kind + "List"))
	err := t.cached.List(ctx, list, client.InNamespace(namespace), client.Limit(1), client.UnsafeDisableDeepCopy)
	return len(list.Items) > 0, err
}
