package main

import (
	"context"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/internal/judge"
	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/rule"
)

// references answer what the validator's rules ask, see validator.Cluster, from the
// API server itself: a cache could lag behind a binding that was created a moment
// ago.
type references struct {
	kinds  *servedKinds
	live   client.Reader
	writer client.Client // for access reviews, which are created
	// hasAccount, if not nil, reports whether a cache has a ServiceAccount: most runs name
	// one that does, and are created by the thousand.
	hasAccount func(ctx context.Context, namespace, name string) bool
}

var _ validator.Cluster = references{}

// servedKinds knows which kinds the cluster serves. It remembers for a while what it
// does not: rules ask for kinds that most clusters lack (Route, HTTPRoute), and the
// mapper asks the API server for all there is, each time that it does not know one.
type servedKinds struct {
	mapper meta.RESTMapper

	mu     sync.Mutex
	absent map[schema.GroupKind]time.Time // when it was last looked for
}

// absentFor is how long a kind that is not served is not looked for again. Those of
// Tekton are: somebody may be installing it.
const absentFor = 30 * time.Second

func newServedKinds(mapper meta.RESTMapper) *servedKinds {
	return &servedKinds{mapper: mapper, absent: map[schema.GroupKind]time.Time{}}
}

func (s *servedKinds) mapping(kind schema.GroupKind) (*meta.RESTMapping, error) {
	if s.isAbsent(kind) {
		return nil, &meta.NoKindMatchError{GroupKind: kind}
	}
	mapping, err := s.mapper.RESTMapping(kind)
	if meta.IsNoMatchError(err) && !strings.HasSuffix(kind.Group, "tekton.dev") {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.absent[kind] = time.Now()
	}
	return mapping, err
}

func (s *servedKinds) isAbsent(kind schema.GroupKind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, known := s.absent[kind]
	return known && time.Since(since) < absentFor
}

// Names implements validator.Cluster. A kind that the cluster does not serve is an
// error: Triggers may be half installed.
func (r references) Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	mapping, err := r.kinds.mapping(kind)
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

// Get implements validator.Cluster. Secrets it does not know: this server may not
// read any but its own. Of a ServiceAccount that a cache has it returns the name alone.
func (r references) Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	if kind == (schema.GroupKind{Kind: "Secret"}) {
		return nil, validator.ErrUnknown
	}
	if kind == (schema.GroupKind{Kind: "ServiceAccount"}) && r.hasAccount != nil && r.hasAccount(ctx, namespace, name) {
		return map[string]any{"apiVersion": "v1", "kind": kind.Kind,
			"metadata": map[string]any{"namespace": namespace, "name": name}}, nil
	}
	mapping, err := r.kinds.mapping(kind)
	if err != nil {
		return nil, err
	}
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(mapping.GroupVersionKind)
	err = r.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return found.Object, nil
}

// Keys implements validator.Cluster.
func (references) Keys(context.Context, string, string) ([]string, error) {
	return nil, validator.ErrUnknown
}

// May implements validator.Cluster by a SubjectAccessReview.
func (r references) May(ctx context.Context, who validator.Account, access validator.Access) (bool, error) {
	review := judge.Review(who, access)
	if err := r.writer.Create(ctx, review); err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// authorize tells whether the user of a request may do something, by a
// SubjectAccessReview.
func (r references) authorize(ctx context.Context, user authenticationv1.UserInfo, access rule.Access) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: access.Verb, Group: access.Group, Resource: access.Resource, Namespace: access.Namespace,
			Name: access.Name,
		},
	}}
	for key, values := range user.Extra {
		if review.Spec.Extra == nil {
			review.Spec.Extra = map[string]authorizationv1.ExtraValue{}
		}
		review.Spec.Extra[key] = authorizationv1.ExtraValue(values)
	}
	if err := r.writer.Create(ctx, review); err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
