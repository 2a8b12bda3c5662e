package lookup

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

// Server are the objects of an API server, as far as a user may read them. Each
// kind is read in the version that the server prefers.
type Server struct {
	client client.Client
}

// Connect prepares to read from the server that config names.
func Connect(config *rest.Config) (*Server, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // one user's look is no load; the server's own fairness is enough
	c, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return &Server{client: c}, nil
}

// Served returns the version of a kind that the server prefers. It reports false
// for a kind that it does not serve.
func (s *Server) Served(kind schema.GroupKind) (version schema.GroupVersionKind, ok bool, err error) {
	mapping, err := s.client.RESTMapper().RESTMapping(kind)
	switch {
	case meta.IsNoMatchError(err):
		return version, false, nil
	case err != nil:
		return version, false, fmt.Errorf("asking the cluster for %s: %w", kind, err)
	}
	return mapping.GroupVersionKind, true, nil
}

// Get implements Objects.
func (s *Server) Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (*unstructured.Unstructured, error) {
	version, served, err := s.Served(kind)
	if !served {
		return nil, err
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(version)
	err = s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, key(namespace, name), err)
	}
	return obj, nil
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// List implements Objects.
func (s *Server) List(ctx context.Context, kind schema.GroupKind, namespace string) ([]unstructured.Unstructured, error) {
	var list []unstructured.Unstructured
	err := s.Each(ctx, kind, namespace, func(obj *unstructured.Unstructured) error {
		list = append(list, *obj)
		return nil
	})
	return list, err
}

// Each visits all objects of a kind in a namespace, in all for "", page by page,
// so that a big cluster does not have to fit into memory. It visits none of a
// kind that is not served.
func (s *Server) Each(ctx context.Context, kind schema.GroupKind, namespace string, visit func(*unstructured.Unstructured) error) error {
	version, served, err := s.Served(kind)
	if !served {
		return err
	}
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(version)
		err := s.client.List(ctx, list, client.InNamespace(namespace), &client.ListOptions{Raw: &options, Limit: options.Limit, Continue: options.Continue})
		return list, err
	})
	err = pages.EachListItem(ctx, metav1.ListOptions{}, func(obj runtime.Object) error {
		return visit(obj.(*unstructured.Unstructured))
	})
	if err != nil {
		return fmt.Errorf("listing %ss: %w", kind.Kind, err)
	}
	return nil
}
