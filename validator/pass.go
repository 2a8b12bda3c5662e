package validator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Pass is what a rule knows while it judges an object, and how it reports.
type Pass struct {
	Object    map[string]any // decoded JSON, numbers as json.Number; not to be changed
	Kind      schema.GroupVersionKind
	Namespace string // "" for a cluster's, or where it is not known
	Policy    *Policy
	Cluster   Cluster  // never nil
	Registry  Registry // for rules that are Online; nil for all others
	Offline   bool     // whether nobody else will judge the object, see Validator.Offline

	// Template is the TriggerTemplate that is to create this object, nil for an
	// object of its own; of a template within a trigger it has but the spec. The
	// object's texts may hold $(tt.params.…) then.
	Template map[string]any

	rule    *Rule          // the one that is asked
	mode    Mode           // what becomes of its findings
	walked  map[string]any // what walks over the object have found, see once
	at      string         // what goes before each path: "" or "spec.resourcetemplates[0]."
	now     func() time.Time
	rules   func() []string // the ids of all rules
	found   []*Finding
	unknown []string
}

// Report adds a finding. The message is one line without the rule's id and without
// a period at its end: what is wrong, why it matters, how to mend it. Less than 240
// bytes are best, since the API server may cut what is longer.
func (p *Pass) Report(path, format string, args ...any) *Finding {
	finding := &Finding{
		Rule: p.rule.ID, Severity: p.rule.Severity, Mode: p.mode, Others: p.rule.Others,
		Path: p.at + path, Message: oneLine(fmt.Sprintf(format, args...)),
	}
	p.found = append(p.found, finding)
	return finding
}

// Unknown adds what could not be found out. An error that is ErrUnknown says
// nothing: then nobody can do anything about it.
func (p *Pass) Unknown(path, what string, err error) {
	if !errors.Is(err, ErrUnknown) {
		p.unknown = append(p.unknown, oneLine(fmt.Sprintf("%s was not checked: %s failed: %v", p.at+path, what, err)))
	}
}

// oneLine is a text in one line, since an admission warning of two never reaches its
// user.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Edit is one operation of a JSON Patch (RFC 6902) on the object that was judged;
// its path is written as a Finding's is.
type Edit struct {
	Op    string `json:"op"` // add, remove or replace
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Mend says what mends the finding for certain: whoever applies it needs not think.
func (p *Pass) Mend(finding *Finding, edits ...Edit) {
	for _, edit := range edits {
		edit.Path = p.at + edit.Path
		finding.Fix = append(finding.Fix, edit)
	}
}

// ErrUnknown says that whoever was asked can never tell: a folder knows no Secrets,
// and the admission server may not read them.
var ErrUnknown = errors.New("this cannot be known here")

// Cluster tells what else there is, in a cluster or in what stands for it.
//
// The admission server asks the API server and not a cache, which could lag behind a
// binding that was created a moment ago; objects of Triggers are created rarely enough
// for that.
type Cluster interface {
	// Names returns the names of all objects of a kind in a namespace, or in the
	// cluster for a kind that has no namespaces; then namespace is "".
	Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error)
	// Get returns an object as decoded JSON, or nil where there is none. Of a
	// Secret it returns no values.
	Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error)
	// Keys returns the keys of a Secret, or nil where there is none.
	Keys(ctx context.Context, namespace, secret string) ([]string, error)
	// May tells whether a ServiceAccount may do something.
	May(ctx context.Context, who Account, access Access) (bool, error)
}

// Account is a ServiceAccount.
type Account struct{ Namespace, Name string }

// Access is something that a ServiceAccount may be allowed to do.
type Access struct {
	Verb      string // create, impersonate, …
	Group     string
	Resource  string // in the plural: taskruns
	Namespace string // "" for a cluster's
	Name      string // "" for any
}

// Registry asks the registry of an image.
type Registry interface {
	// Exists tells whether an image reference can be resolved.
	Exists(ctx context.Context, reference string) (bool, error)
}

// memory asks a Cluster for nothing twice while one object is judged.
type memory struct {
	cluster Cluster
	answers map[any]any
}

func remember(c Cluster) *memory {
	if c == nil {
		c = nowhere{}
	}
	return &memory{c, map[any]any{}}
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

func (m *memory) Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error) {
	type names struct {
		kind      schema.GroupKind
		namespace string
	}
	return recall(m, names{kind, namespace}, func() ([]string, error) { return m.cluster.Names(ctx, kind, namespace) })
}

func (m *memory) Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	type get struct {
		kind            schema.GroupKind
		namespace, name string
	}
	return recall(m, get{kind, namespace, name}, func() (map[string]any, error) { return m.cluster.Get(ctx, kind, namespace, name) })
}

func (m *memory) Keys(ctx context.Context, namespace, secret string) ([]string, error) {
	type keys struct{ namespace, secret string }
	return recall(m, keys{namespace, secret}, func() ([]string, error) { return m.cluster.Keys(ctx, namespace, secret) })
}

func (m *memory) May(ctx context.Context, who Account, access Access) (bool, error) {
	type may struct {
		who    Account
		access Access
	}
	return recall(m, may{who, access}, func() (bool, error) { return m.cluster.May(ctx, who, access) })
}

// nowhere is a Cluster of which nothing is known.
type nowhere struct{}

func (nowhere) Names(context.Context, schema.GroupKind, string) ([]string, error) {
	return nil, ErrUnknown
}
func (nowhere) Get(context.Context, schema.GroupKind, string, string) (map[string]any, error) {
	return nil, ErrUnknown
}
func (nowhere) Keys(context.Context, string, string) ([]string, error) { return nil, ErrUnknown }
func (nowhere) May(context.Context, Account, Access) (bool, error)     { return false, ErrUnknown }
