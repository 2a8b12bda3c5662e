package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// serviceAccounts looks up ServiceAccounts by their names alone. It asks a cache
// first, since there is a look-up for each TaskRun, and the API server where the
// cache has none: people create a ServiceAccount and a TaskRun that wants it in
// one command, and the cache hears of it a moment later.
type serviceAccounts struct {
	live     client.Reader
	cached   client.Reader  // nil if nothing is to be watched
	informer cache.Informer // of cached
}

// watch makes the cache hold the names of all ServiceAccounts from the start.
func (s *serviceAccounts) watch(ctx context.Context, c cache.Cache) error {
	informer, err := c.GetInformer(ctx, partial("ServiceAccount"), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching ServiceAccounts: %w", err)
	}
	s.cached, s.informer = c, informer
	return nil
}

// Exists implements mutator.ServiceAccounts.
func (s *serviceAccounts) Exists(ctx context.Context, namespace, name string) (bool, error) {
	key := client.ObjectKey{Namespace: namespace, Name: name}
	if s.informer != nil && s.informer.HasSynced() && s.cached.Get(ctx, key, partial("ServiceAccount")) == nil {
		return true, nil
	}
	err := s.live.Get(ctx, key, partial("ServiceAccount"))
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// ready keeps traffic away until the cache is filled.
func (s *serviceAccounts) ready(*http.Request) error {
	if s.informer != nil && !s.informer.HasSynced() {
		return errors.New("the names of ServiceAccounts are not known yet")
	}
	return nil
}

// references looks up what EventListeners refer to, each time anew: see the
// package comment of validator.
type references struct {
	mapper meta.RESTMapper
	live   client.Reader
}

// Names implements validator.References. A kind that the cluster does not serve
// is an error: Triggers may be half installed.
func (r references) Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	mapping, err := r.mapper.RESTMapping(kind)
	if err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(mapping.GroupVersionKind)
	if err := r.live.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

// partial returns an object of a core kind that holds metadata alone.
func partial(kind string) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kind})
	return object
}

// keepNames reduces what the cache holds to what is looked up in it.
func keepNames(in any) (any, error) {
	object, ok := in.(*metav1.PartialObjectMetadata)
	if !ok {
		return in, nil
	}
	object.ObjectMeta = metav1.ObjectMeta{
		Namespace:       object.Namespace,
		Name:            object.Name,
		UID:             object.UID,
		ResourceVersion: object.ResourceVersion,
	}
	return object, nil
}
