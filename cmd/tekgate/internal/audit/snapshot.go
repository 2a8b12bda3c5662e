package audit

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/internal/judge"
	"github.com/tekgate/tekgate/validator"
)

// snapshot is a cluster as it was read at once, so that rules which look the same
// things up for every object cost nothing. What was not listed it asks for, each thing
// once: Secrets, of which it keeps the names of keys, and what a ServiceAccount may do.
// It is for one goroutine.
type snapshot struct {
	singly  *judge.Cluster
	objects map[objectKey]map[string]any
	names   map[listKey][]string
	whole   map[listKey]bool // what all of is known
	answers map[any]any
}

type listKey struct {
	kind      schema.GroupKind
	namespace string // "" for all, or for the cluster's
}

type objectKey struct {
	listKey
	name string
}

var _ validator.Cluster = &snapshot{}

func newSnapshot(singly *judge.Cluster) *snapshot {
	return &snapshot{
		singly: singly, objects: map[objectKey]map[string]any{}, names: map[listKey][]string{},
		whole: map[listKey]bool{}, answers: map[any]any{},
	}
}

func (s *snapshot) add(kind schema.GroupKind, namespace, name string, fields map[string]any) {
	list := listKey{kind, namespace}
	s.objects[objectKey{list, name}] = fields
	s.names[list] = append(s.names[list], name)
}

// complete says that all objects of a kind have been added; no namespace means all.
func (s *snapshot) complete(kind schema.GroupKind, namespace string) {
	s.whole[listKey{kind, namespace}] = true
}

func (s *snapshot) knows(list listKey) bool {
	return s.whole[list] || s.whole[listKey{kind: list.kind}]
}

// reply is what was answered once.
type reply[T any] struct {
	value T
	err   error
}

// once asks each question once, and a refusal is an answer too.
func once[T any](s *snapshot, question any, ask func() (T, error)) (T, error) {
	if known, ok := s.answers[question].(reply[T]); ok {
		return known.value, known.err
	}
	value, err := ask()
	s.answers[question] = reply[T]{value, err}
	return value, err
}

// Names implements validator.Cluster.
func (s *snapshot) Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	list := listKey{kind, namespace}
	switch {
	case s.knows(list) && (namespace != "" || inCluster(kind)):
		return s.names[list], nil
	case s.knows(list):
		return s.everywhere(kind), nil
	}
	return once(s, list, func() ([]string, error) { return s.singly.Names(ctx, kind, namespace) })
}

// everywhere returns the names of a kind in all namespaces.
func (s *snapshot) everywhere(kind schema.GroupKind) []string {
	var names []string
	for list, some := range s.names {
		if list.kind == kind {
			names = append(names, some...)
		}
	}
	slices.Sort(names)
	return names
}

// Get implements validator.Cluster.
func (s *snapshot) Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	key := objectKey{listKey{kind, namespace}, name}
	if fields, known := s.objects[key]; known || s.knows(key.listKey) {
		return fields, nil
	}
	return once(s, key, func() (map[string]any, error) { return s.singly.Get(ctx, kind, namespace, name) })
}

// Keys implements validator.Cluster.
func (s *snapshot) Keys(ctx context.Context, namespace, secret string) ([]string, error) {
	type keys struct{ namespace, secret string }
	return once(s, keys{namespace, secret}, func() ([]string, error) { return s.singly.Keys(ctx, namespace, secret) })
}

// May implements validator.Cluster.
func (s *snapshot) May(ctx context.Context, who validator.Account, access validator.Access) (bool, error) {
	type may struct {
		who    validator.Account
		access validator.Access
	}
	return once(s, may{who, access}, func() (bool, error) { return s.singly.May(ctx, who, access) })
}
