package validator

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/admission"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// Set is a Cluster that consists of some objects, such as those of a folder.
//
// Of Tekton's kinds it knows all that there is: what is not in it does not exist,
// unless Elsewhere names it. Of all other kinds it knows what is in it and nothing
// else, since a ServiceAccount or a Secret seldom stands beside the pipelines that
// use it. An object that names no namespace is in whichever is asked about.
type Set struct {
	// Elsewhere names objects that exist though they are not in the set, by kind;
	// * stands for any characters.
	Elsewhere map[string][]string

	objects map[schema.GroupKind][]Subject
	named   map[setName][]Subject // the same, in the same order
}

// setName is what an object is looked up by.
type setName struct {
	kind schema.GroupKind
	name string
}

// NewSet returns the set of some objects.
func NewSet(objects []Subject) *Set {
	s := &Set{objects: map[schema.GroupKind][]Subject{}, named: map[setName][]Subject{}}
	for _, o := range objects {
		o.Fields, _ = admission.Spelled(o.Kind, o.Fields)
		kind := o.Kind.GroupKind()
		by := setName{kind, o.Name()}
		s.objects[kind], s.named[by] = append(s.objects[kind], o), append(s.named[by], o)
	}
	return s
}

// Names implements Cluster. Of kinds that are not Tekton's it returns the names that
// it has along with ErrUnknown, since there may be others.
func (s *Set) Names(_ context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	var names []string
	if kind.Kind == "ClusterInterceptor" {
		names = slices.Clone(walk.CoreInterceptors)
	}
	for _, o := range s.objects[kind] {
		if o.in(namespace) {
			names = append(names, o.Name())
		}
	}
	if kind.Group != rule.TektonGroup && kind.Group != rule.TriggersGroup {
		return names, rule.ErrUnknown
	}
	return names, nil
}

// Get implements Cluster.
func (s *Set) Get(_ context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	for _, o := range s.named[setName{kind, name}] {
		if o.in(namespace) {
			return o.Fields, nil
		}
	}
	if (kind.Group != rule.TektonGroup && kind.Group != rule.TriggersGroup) ||
		rule.MatchesAny(s.Elsewhere[kind.Kind], name) {
		return nil, rule.ErrUnknown
	}
	if kind.Kind == "ClusterInterceptor" && slices.Contains(walk.CoreInterceptors, name) {
		return nil, rule.ErrUnknown
	}
	return nil, nil
}

func (s Subject) in(namespace string) bool {
	return namespace == "" || s.Namespace == "" || s.Namespace == namespace
}

// Keys implements Cluster. It knows the Secrets that are in the set.
func (s *Set) Keys(ctx context.Context, namespace, secret string) ([]string, error) {
	fields, err := s.Get(ctx, schema.GroupKind{Kind: "Secret"}, namespace, secret)
	if err != nil {
		return nil, err
	}
	var r object.Reader
	keys := []string{}
	for _, part := range []string{"data", "stringData"} {
		for key := range r.Fields(fields, part) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// May implements Cluster. A set does not know what is allowed elsewhere.
func (s *Set) May(context.Context, rule.Account, rule.Access) (bool, error) {
	return false, rule.ErrUnknown
}
