package lookup

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/validator"
)

// Server reads objects from an API server, with a user's permissions. Each kind is read
// in the version that the server prefers.
type Server struct{ kube.Reader }

// Connect returns a Server for the cluster that config names. It sends nothing yet.
func Connect(config *rest.Config) (*Server, error) {
	reader, err := kube.Connect(config)
	if err != nil {
		return nil, err
	}
	return &Server{reader}, nil
}

// Served returns the version of a kind in which objects are read: of Tekton's kinds one that this program knows,
// since a newer Tekton may prefer another.
func (s *Server) Served(kind schema.GroupKind) (version schema.GroupVersionKind, ok bool, err error) {
	return s.Reader.Served(kind, validator.VersionsOf(kind)...)
}

// Get implements Objects.
func (s *Server) Get(
	ctx context.Context, kind schema.GroupKind, namespace, name string,
) (*unstructured.Unstructured, error) {
	version, served, err := s.Served(kind)
	if !served {
		return nil, err
	}
	return s.Reader.Get(ctx, version, namespace, name)
}

// List implements Objects.
func (s *Server) List(
	ctx context.Context, kind schema.GroupKind, namespace string,
) ([]unstructured.Unstructured, error) {
	var list []unstructured.Unstructured
	err := s.Each(ctx, kind, namespace, func(obj *unstructured.Unstructured) error {
		list = append(list, *obj)
		return nil
	})
	return list, err
}

// Each visits the objects of a kind in a namespace ("" for all), page by page. It visits
// nothing if the kind is not served.
func (s *Server) Each(
	ctx context.Context, kind schema.GroupKind, namespace string, visit func(*unstructured.Unstructured) error,
) error {
	version, served, err := s.Served(kind)
	if !served {
		return err
	}
	return s.Reader.Each(ctx, version, namespace, visit)
}
