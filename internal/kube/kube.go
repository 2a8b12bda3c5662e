// Package kube reads unstructured objects from an API server.
//
// It is the one place that decides what absence means: an object that does not exist and
// a kind that the server does not serve are nil or empty, and no error. Every other
// failure is an error that names the object.
package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Absent reports whether err says that an object does not exist, or that the server does
// not serve its kind.
func Absent(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// Unthrottled returns a copy of config without client-side rate limits: the API server's
// priority and fairness limits the load of one command or server.
func Unthrottled(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	return config
}

// Client returns a client without client-side rate limits, for unstructured objects and
// for the types that the functions add to its scheme.
func Client(config *rest.Config, types ...func(*runtime.Scheme) error) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range types {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("connecting to the cluster: %w", err)
		}
	}
	c, err := client.New(Unthrottled(config), client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return c, nil
}

// Reader reads objects through a client. It is safe for concurrent use.
type Reader struct{ client client.Client }

// NewReader returns a Reader that uses c.
func NewReader(c client.Client) Reader { return Reader{c} }

// Connect returns a Reader of the cluster that config names. It sends nothing yet.
func Connect(config *rest.Config) (Reader, error) {
	c, err := Client(config)
	return Reader{c}, err
}

// Client returns the client that the Reader uses.
func (r Reader) Client() client.Client { return r.client }

// Served returns the version of a kind that the server serves: the first of those that the caller wants, or else
// the one that the server prefers; false if it serves none.
func (r Reader) Served(kind schema.GroupKind, want ...string) (version schema.GroupVersionKind, ok bool, err error) {
	if len(want) > 0 {
		if version, ok, err = r.mapping(kind, want...); ok || err != nil {
			return version, ok, err
		}
	}
	return r.mapping(kind)
}

// Serves reports whether the server serves exactly this version of a kind.
func (r Reader) Serves(kind schema.GroupVersionKind) (bool, error) {
	_, ok, err := r.mapping(kind.GroupKind(), kind.Version)
	return ok, err
}

func (r Reader) mapping(kind schema.GroupKind, versions ...string) (schema.GroupVersionKind, bool, error) {
	mapping, err := r.client.RESTMapper().RESTMapping(kind, versions...)
	switch {
	case meta.IsNoMatchError(err):
		return schema.GroupVersionKind{}, false, nil
	case err != nil:
		return schema.GroupVersionKind{}, false, fmt.Errorf("asking the cluster for %s: %w", kind, err)
	}
	return mapping.GroupVersionKind, true, nil
}

// Get returns an object, or nil if it is absent.
func (r Reader) Get(ctx context.Context, kind schema.GroupVersionKind,
	namespace, name string) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	if found, err := r.Find(ctx, namespace, name, obj); !found {
		return nil, err
	}
	return obj, nil
}

// Find reads an object into obj, whose kind is set, and reports whether it exists.
func (r Reader) Find(ctx context.Context, namespace, name string, obj client.Object) (bool, error) {
	err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj)
	switch {
	case Absent(err):
		return false, nil
	case err != nil:
		kind, _ := r.client.GroupVersionKindFor(obj) // empty only for a type that Get refuses, too
		return false, fmt.Errorf("reading %s %s: %w", kind.Kind, key(namespace, name), err)
	}
	return true, nil
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// List returns the objects of a kind, in the server's order.
func (r Reader) List(ctx context.Context, kind schema.GroupVersionKind,
	options ...client.ListOption) ([]*unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind)
	if err := r.client.List(ctx, list, options...); err != nil && !Absent(err) {
		return nil, fmt.Errorf("listing %ss: %w", kind.Kind, err)
	}
	objects := make([]*unstructured.Unstructured, 0, len(list.Items))
	for i := range list.Items {
		objects = append(objects, &list.Items[i])
	}
	return objects, nil
}

// Each visits the objects of a kind in a namespace ("" for all), page by page, so that
// memory does not grow with their number. It ends with visit's first error.
func (r Reader) Each(ctx context.Context, kind schema.GroupVersionKind, namespace string,
	visit func(*unstructured.Unstructured) error) error {
	var visited error
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		err := r.client.List(ctx, list, client.InNamespace(namespace),
			&client.ListOptions{Raw: &options, Limit: options.Limit, Continue: options.Continue})
		return list, err
	})
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(obj runtime.Object) error {
		visited = visit(obj.(*unstructured.Unstructured))
		return visited
	})
	switch {
	case visited != nil:
		return visited
	case err != nil && !Absent(err):
		return fmt.Errorf("listing %ss: %w", kind.Kind, err)
	}
	return nil
}
