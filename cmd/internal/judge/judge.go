// Package judge lets the validator's rules look things up in a cluster, with the
// permissions of whoever runs the command.
//
// It reads one object at a time, as rules ask for it, and nothing that they need not
// know: names come as metadata, and of a Secret nothing leaves this package but the
// names of its keys. Whoever judges a whole cluster had better read it in bulk.
package judge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/validator"
)

// Cluster reads from an API server. It changes nothing there, and is safe for concurrent
// use.
type Cluster struct{ reader kube.Reader }

var _ validator.Cluster = &Cluster{}

// Connect returns a Cluster for the server that config names. It sends nothing yet.
func Connect(config *rest.Config) (*Cluster, error) {
	c, err := kube.Client(config, authorizationv1.AddToScheme, metav1.AddMetaToScheme)
	if err != nil {
		return nil, err
	}
	return &Cluster{kube.NewReader(c)}, nil
}

// Names implements validator.Cluster.
func (c *Cluster) Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	version, served, err := c.reader.Served(kind, validator.VersionsOf(kind)...)
	if !served {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(version.GroupVersion().WithKind(version.Kind + "List"))
	if err := c.reader.Client().List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing %ss: %w", kind.Kind, err)
	}
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names, nil
}

var secrets = schema.GroupKind{Kind: "Secret"}

// Get implements validator.Cluster. Of a Secret it returns the metadata alone.
func (c *Cluster) Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	version, served, err := c.reader.Served(kind, validator.VersionsOf(kind)...)
	if !served {
		return nil, err
	}
	if kind == secrets {
		return c.metadata(ctx, version, namespace, name)
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(version)
	if found, err := c.read(ctx, obj, namespace, name); !found {
		return nil, err
	}
	return obj.Object, nil
}

func (c *Cluster) metadata(
	ctx context.Context, version schema.GroupVersionKind, namespace, name string,
) (map[string]any, error) {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(version)
	if found, err := c.read(ctx, obj, namespace, name); !found {
		return nil, err
	}
	delete(obj.Annotations, "kubectl.kubernetes.io/last-applied-configuration") // holds what was applied, values too
	apiVersion, kind := version.ToAPIVersionAndKind()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&obj.ObjectMeta)
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": fields}, err
}

// read reads an object, and reports whether it exists. Its errors leave out the namespace,
// which findings name already.
func (c *Cluster) read(ctx context.Context, obj client.Object, namespace, name string) (bool, error) {
	err := c.reader.Client().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj)
	switch {
	case kube.Absent(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading %s %s: %w", obj.GetObjectKind().GroupVersionKind().Kind, name, err)
	}
	return true, nil
}

// Keys implements validator.Cluster.
func (c *Cluster) Keys(ctx context.Context, namespace, secret string) ([]string, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(secrets.WithVersion("v1"))
	if found, err := c.read(ctx, obj, namespace, secret); !found {
		return nil, err
	}
	data, _ := obj.Object["data"].(map[string]any)
	return slices.AppendSeq(make([]string, 0, len(data)), maps.Keys(data)), nil
}

// May implements validator.Cluster, by a SubjectAccessReview.
func (c *Cluster) May(ctx context.Context, who validator.Account, access validator.Access) (bool, error) {
	review := Review(who, access)
	if err := c.reader.Client().Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking whether ServiceAccount %s/%s may %s %s: %w", who.Namespace, who.Name,
			access.Verb, access.Resource, err)
	}
	return review.Status.Allowed, nil
}

// Review asks an API server whether a ServiceAccount may do something. A
// SubjectAccessReview names the groups itself: those of every ServiceAccount
// (k8s.io/apiserver, pkg/authentication/serviceaccount/util.go).
func Review(who validator.Account, access validator.Access) *authorizationv1.SubjectAccessReview {
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + who.Namespace + ":" + who.Name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + who.Namespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: access.Verb, Group: access.Group, Resource: access.Resource, Namespace: access.Namespace,
			Name: access.Name,
		},
	}}
}

// Files is a validator.Set, or the view of one from a file.
type Files interface {
	validator.Cluster
	IsElsewhere(kind, name string) bool
	MayWith(ctx context.Context, c validator.Cluster, who validator.Account, access validator.Access) (bool, error)
}

// Layers are files over a cluster: what the files do not hold is looked up there.
type Layers struct {
	Files   Files
	Cluster validator.Cluster
}

var _ validator.Cluster = Layers{}

// Names implements validator.Cluster.
func (l Layers) Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	names, err := l.Cluster.Names(ctx, kind, namespace)
	if err != nil {
		return nil, err
	}
	more, err := l.Files.Names(ctx, kind, namespace)
	if err != nil && !errors.Is(err, validator.ErrUnknown) {
		return nil, err
	}
	names = append(names, more...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Get implements validator.Cluster. What Elsewhere names may be in neither.
func (l Layers) Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	fields, err := l.Files.Get(ctx, kind, namespace, name)
	if fields != nil || (err != nil && !errors.Is(err, validator.ErrUnknown)) {
		return fields, err
	}
	fields, err = l.Cluster.Get(ctx, kind, namespace, name)
	if fields == nil && err == nil && l.Files.IsElsewhere(kind.Kind, name) {
		return nil, validator.ErrUnknown
	}
	return fields, err
}

// Keys implements validator.Cluster.
func (l Layers) Keys(ctx context.Context, namespace, secret string) ([]string, error) {
	keys, err := l.Files.Keys(ctx, namespace, secret)
	if errors.Is(err, validator.ErrUnknown) {
		return l.Cluster.Keys(ctx, namespace, secret)
	}
	return keys, err
}

// May implements validator.Cluster. What the files allow counts as allowed, since they will be applied.
func (l Layers) May(ctx context.Context, who validator.Account, access validator.Access) (bool, error) {
	if may, err := l.Files.MayWith(ctx, l.Cluster, who, access); may && err == nil {
		return true, nil
	}
	return l.Cluster.May(ctx, who, access)
}
