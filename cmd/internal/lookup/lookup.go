// Package lookup answers what package mutator asks of a cluster, from plain
// objects.
//
// The objects may lie in files that stand for a cluster, on a server, or in both:
// whoever tries a change out has the Task in one file and the ServiceAccount in
// the cluster. So the questions are answered in one place, and where objects come
// from is another's, with two methods. A Secret is never asked for.
package lookup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// The kinds that are asked for.
var (
	namespaces = schema.GroupKind{Kind: "Namespace"}
	accounts   = schema.GroupKind{Kind: "ServiceAccount"}
	configMaps = schema.GroupKind{Kind: "ConfigMap"}
	tasks      = schema.GroupKind{Group: "tekton.dev", Kind: "Task"}
	actions    = schema.GroupKind{Group: "tekton.dev", Kind: "StepAction"}
	policies   = schema.GroupKind{Group: "tekton.dev", Kind: "VerificationPolicy"}
)

// Objects are where objects come from. What does not exist is nothing, without
// an error, and so is what is of a kind that nobody serves.
type Objects interface {
	// Get returns one object, nil for none. Objects without a namespace are asked
	// for with "".
	Get(ctx context.Context, kind schema.GroupKind, namespace, name string) (*unstructured.Unstructured, error)
	// List returns all objects of a kind in a namespace.
	List(ctx context.Context, kind schema.GroupKind, namespace string) ([]unstructured.Unstructured, error)
}

// Layers asks the first for an object, and the second for what the first has not.
type Layers [2]Objects

// Get implements Objects.
func (l Layers) Get(
	ctx context.Context, kind schema.GroupKind, namespace, name string,
) (*unstructured.Unstructured, error) {
	found, err := l[0].Get(ctx, kind, namespace, name)
	if found != nil || err != nil {
		return found, err
	}
	return l[1].Get(ctx, kind, namespace, name)
}

// List implements Objects.
func (l Layers) List(
	ctx context.Context, kind schema.GroupKind, namespace string,
) ([]unstructured.Unstructured, error) {
	first, err := l[0].List(ctx, kind, namespace)
	if err != nil {
		return nil, err
	}
	second, err := l[1].List(ctx, kind, namespace)
	return append(first, second...), err
}

// Options say how a Cluster answers.
type Options struct {
	// Tekton is the namespace of Tekton's own ConfigMaps.
	Tekton string
	// Assume takes a ServiceAccount or ConfigMap that is not found for one that exists:
	// the objects are some of a cluster's, and not all.
	Assume bool
	// Problem, if not nil, is told once of each look-up that failed.
	Problem func(error)
}

// Cluster implements mutator.Cluster. It asks for each thing once, so it is for
// one run of a program. It is safe for concurrent use.
type Cluster struct {
	objects Objects
	options Options

	mutex sync.Mutex
	known map[question]answer
	said  map[string]bool

	programs sync.Once
	table    *entrypoint.Table
}

type question struct {
	kind            schema.GroupKind
	namespace, name string // no name asks for all
}

type answer struct {
	one *unstructured.Unstructured
	all []unstructured.Unstructured
	err error
}

var _ mutator.Cluster = &Cluster{}

// New returns a Cluster that has asked for nothing yet.
func New(objects Objects, options Options) *Cluster {
	return &Cluster{objects: objects, options: options, known: map[question]answer{}, said: map[string]bool{}}
}

func (c *Cluster) ask(ctx context.Context, q question) answer {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if known, ok := c.known[q]; ok {
		return known
	}
	var a answer
	if q.name != "" {
		a.one, a.err = c.objects.Get(ctx, q.kind, q.namespace, q.name)
	} else {
		a.all, a.err = c.objects.List(ctx, q.kind, q.namespace)
	}
	c.known[q] = a
	if a.err != nil && c.options.Problem != nil && !c.said[a.err.Error()] {
		c.said[a.err.Error()] = true
		c.options.Problem(a.err)
	}
	return a
}

// Namespace implements mutator.Cluster.
func (c *Cluster) Namespace(ctx context.Context, name string) (*mutator.Namespace, error) {
	a := c.ask(ctx, question{kind: namespaces, name: name})
	if a.one == nil {
		return nil, a.err
	}
	return &mutator.Namespace{Labels: a.one.GetLabels(), Annotations: a.one.GetAnnotations()}, nil
}

// ServiceAccount implements mutator.Cluster.
func (c *Cluster) ServiceAccount(ctx context.Context, namespace, name string) (*mutator.Account, error) {
	a := c.ask(ctx, question{accounts, namespace, name})
	switch {
	case a.err != nil:
		return nil, a.err
	case a.one == nil && c.options.Assume:
		return &mutator.Account{Assumed: true}, nil
	case a.one == nil:
		return nil, nil
	}
	return accountOf(a.one), nil
}

// accountOf returns what a ServiceAccount says of itself.
func accountOf(account *unstructured.Unstructured) *mutator.Account {
	return &mutator.Account{
		Secrets:     names(account.Object, "secrets"),
		PullSecrets: names(account.Object, "imagePullSecrets"),
		Annotations: account.GetAnnotations(),
	}
}

func names(account map[string]any, key string) []string {
	var r object.Reader
	var list []string
	for _, secret := range r.FieldsList(account, key) {
		if name := r.Text(secret, "name"); name != "" {
			list = append(list, name)
		}
	}
	return list
}

// WorkloadIdentity implements mutator.Cluster.
func (c *Cluster) WorkloadIdentity(ctx context.Context, namespace string, annotations []string) (string, error) {
	a := c.ask(ctx, question{kind: accounts, namespace: namespace})
	for _, account := range a.all {
		for _, key := range annotations {
			if account.GetAnnotations()[key] != "" {
				return account.GetName(), nil
			}
		}
	}
	return "", a.err
}

// Task implements mutator.Cluster.
func (c *Cluster) Task(ctx context.Context, namespace, name string) (map[string]any, error) {
	return c.stored(ctx, question{tasks, namespace, name})
}

// StepAction implements mutator.Cluster.
func (c *Cluster) StepAction(ctx context.Context, namespace, name string) (map[string]any, error) {
	return c.stored(ctx, question{actions, namespace, name})
}

func (c *Cluster) stored(ctx context.Context, q question) (map[string]any, error) {
	a := c.ask(ctx, q)
	if a.one == nil {
		return nil, a.err
	}
	return a.one.Object, nil
}

// Verifies implements mutator.Cluster.
func (c *Cluster) Verifies(ctx context.Context, namespace string) (bool, error) {
	a := c.ask(ctx, question{kind: policies, namespace: namespace})
	return len(a.all) > 0, a.err
}

// ConfigMap implements mutator.Cluster.
func (c *Cluster) ConfigMap(ctx context.Context, namespace, name string) (*mutator.ConfigMap, error) {
	a := c.ask(ctx, question{configMaps, namespace, name})
	switch {
	case a.err != nil:
		return nil, a.err
	case a.one == nil && c.options.Assume:
		return &mutator.ConfigMap{Assumed: true}, nil
	case a.one == nil:
		return nil, nil
	}
	data, _, _ := unstructured.NestedMap(a.one.Object, "data")
	return &mutator.ConfigMap{Keys: slices.Sorted(maps.Keys(data))}, nil
}

// Tekton implements mutator.Cluster. What cannot be read counts as not said.
func (c *Cluster) Tekton(ctx context.Context) mutator.Tekton {
	data := func(namespace, name string) map[string]string { return c.data(ctx, namespace, name) }
	own, resolvers := c.options.Tekton, mutator.ResolversOf(c.options.Tekton)
	tekton := mutator.ParseTekton(data(own, mutator.TektonInfo), data(own, mutator.TektonFlags),
		data(own, mutator.TektonDefaults))
	tekton.Resolver = mutator.ParseResolver(data(resolvers, mutator.ResolverFlags),
		data(resolvers, mutator.ResolverConfig))
	return tekton
}

// data returns what a ConfigMap holds, nothing of one that there is not.
func (c *Cluster) data(ctx context.Context, namespace, name string) map[string]string {
	a := c.ask(ctx, question{configMaps, namespace, name})
	if a.one == nil {
		return nil
	}
	text, _, _ := unstructured.NestedStringMap(a.one.Object, "data")
	return text
}

// Entrypoints implements mutator.Cluster. A ConfigMap that is wrong counts as none.
func (c *Cluster) Entrypoints(ctx context.Context) *entrypoint.Table {
	c.programs.Do(func() {
		var err error
		c.table, err = entrypoint.Parse(c.data(ctx, wellknown.TekgateNamespace, entrypoint.ConfigMap))
		if err != nil && c.options.Problem != nil {
			c.options.Problem(fmt.Errorf("ConfigMap %s: %w", entrypoint.ConfigMap, err))
		}
	})
	return c.table
}

// Files are objects that were read from files.
type Files map[question]*unstructured.Unstructured

// Add adds an object. Of two of the same name the last one counts, as it would if
// both were applied. One that names no namespace is in the given one.
func (f Files) Add(fields map[string]any, namespace string) {
	obj := &unstructured.Unstructured{Object: fields}
	kind := obj.GroupVersionKind().GroupKind()
	switch {
	case kind == namespaces:
		namespace = ""
	case obj.GetNamespace() != "":
		namespace = obj.GetNamespace()
	}
	if name := obj.GetName(); name != "" {
		f[question{kind, namespace, name}] = obj
	}
}

// Get implements Objects.
func (f Files) Get(
	_ context.Context, kind schema.GroupKind, namespace, name string,
) (*unstructured.Unstructured, error) {
	return f[question{kind, namespace, name}], nil
}

// List implements Objects.
func (f Files) List(_ context.Context, kind schema.GroupKind, namespace string) ([]unstructured.Unstructured, error) {
	var list []unstructured.Unstructured
	for q, obj := range f {
		if q.kind == kind && q.namespace == namespace {
			list = append(list, *obj)
		}
	}
	slices.SortFunc(list, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return list, nil
}
