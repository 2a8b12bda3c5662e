package rule

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ErrUnknown says that whoever was asked can never tell: a folder knows no Secrets,
// and the admission server may not read them.
var ErrUnknown = errors.New("this cannot be known here")

// Cluster tells which other objects exist, in a cluster or in a set of files.
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

// SomeNamespace stands in an Account or Access for the namespace of objects in files that name none.
const SomeNamespace = "*"

// Files are the objects that are judged together, in files. What is none of them may exist elsewhere.
type Files interface {
	// All returns the objects of a kind that may be in a namespace, those that name none among them;
	// "" stands for any namespace.
	All(kind schema.GroupKind, namespace string) []map[string]any
	// Renamed returns the name of an object of a kind that is as name but for a prefix or suffix, which
	// a third of the files' objects have, and more than one. It returns "" for none, and for a name that
	// is there or that is said to be elsewhere.
	Renamed(kind schema.GroupKind, namespace, name string) string
	// MayBeKustomized reports whether kustomize may have made the objects or may still do so.
	MayBeKustomized() bool
}

// notFollowed explains to users why a reference lacks the prefix of a name.
const notFollowed = "kustomize's namePrefix and nameSuffix do not follow references in Tekton's kinds"

// Registry asks the registry of an image.
type Registry interface {
	// Exists reports whether an image is there, and what is wrong with it: a sentence each.
	Exists(ctx context.Context, reference string) (exists bool, flaws []string, err error)
}

// String names an access as people do: create taskruns.tekton.dev in "ci".
func (a Access) String() string {
	text := a.Verb + " " + strings.TrimSuffix(a.Resource+"."+a.Group, ".")
	if a.Name != "" {
		text += " " + strconv.Quote(a.Name)
	}
	switch a.Namespace {
	case "":
		return text + " in the cluster"
	case SomeNamespace:
		return text + " in its namespace"
	}
	return fmt.Sprintf("%s in %q", text, a.Namespace)
}

// Nowhere is a Cluster of which nothing is known.
type Nowhere struct{}

// Names implements Cluster.
func (Nowhere) Names(context.Context, schema.GroupKind, string) ([]string, error) {
	return nil, ErrUnknown
}

// Get implements Cluster.
func (Nowhere) Get(context.Context, schema.GroupKind, string, string) (map[string]any, error) {
	return nil, ErrUnknown
}

// Keys implements Cluster.
func (Nowhere) Keys(context.Context, string, string) ([]string, error) { return nil, ErrUnknown }

// May implements Cluster.
func (Nowhere) May(context.Context, Account, Access) (bool, error) { return false, ErrUnknown }
