package validator

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator/rule"
)

// memory asks a Cluster for nothing twice while one object is judged, and for nothing at
// all once ctx has ended: rules have a longer one.
type memory struct {
	ctx     context.Context // that of one judgement, as the memory is
	cluster rule.Cluster
	answers map[any]any

	outside rule.Outside
	// revealed says that an object was returned which messages must not name.
	revealed bool
}

func remember(ctx context.Context, c rule.Cluster, outside rule.Outside) *memory {
	if c == nil {
		c = rule.Nowhere{}
	}
	return &memory{ctx: ctx, cluster: c, answers: map[any]any{}, outside: outside}
}

type answer[T any] struct {
	value T
	err   error
}

func recall[T any](m *memory, question any, ask func() (T, error)) (T, error) {
	if known, ok := m.answers[question].(answer[T]); ok {
		return known.value, known.err
	}
	value, err := ask()
	m.answers[question] = answer[T]{value, err}
	return value, err
}

func (m *memory) Names(_ context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	type names struct {
		kind      schema.GroupKind
		namespace string
	}
	return recall(m, names{kind, namespace}, func() ([]string, error) {
		return m.cluster.Names(m.ctx, kind, namespace)
	})
}

func (m *memory) Get(_ context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	type get struct {
		kind            schema.GroupKind
		namespace, name string
	}
	found, err := recall(m, get{kind, namespace, name}, func() (map[string]any, error) {
		return m.cluster.Get(m.ctx, kind, namespace, name)
	})
	m.reveal(found != nil && kind.Kind != "ClusterInterceptor", namespace) // of these, rules ask for the name alone
	return found, err
}

func (m *memory) Keys(_ context.Context, namespace, secret string) ([]string, error) {
	type keys struct{ namespace, secret string }
	found, err := recall(m, keys{namespace, secret}, func() ([]string, error) {
		return m.cluster.Keys(m.ctx, namespace, secret)
	})
	m.reveal(found != nil, namespace)
	return found, err
}

func (m *memory) reveal(found bool, namespace string) {
	m.revealed = m.revealed || found && m.outside.Of(namespace)
}

func (m *memory) May(_ context.Context, who rule.Account, access rule.Access) (bool, error) {
	type may struct {
		who    rule.Account
		access rule.Access
	}
	return recall(m, may{who, access}, func() (bool, error) { return m.cluster.May(m.ctx, who, access) })
}
