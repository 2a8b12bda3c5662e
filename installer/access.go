package installer

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
)

// AsAdministrator is the remedy for rights that the user lacks, after a verb.
const AsAdministrator = "as a cluster administrator (a binding to ClusterRole cluster-admin)"

// Access is one question to the authorizer. Without a name it is about all objects of the
// resource, and without a namespace about all namespaces.
type Access struct{ Verb, Group, Resource, Namespace, Name string }

// String names the right without the object's name, so that a list has each kind once.
func (a Access) String() string {
	s := a.Verb + " " + a.Resource
	if a.Group != "" {
		s += "." + a.Group
	}
	if a.Namespace != "" {
		s += " in " + a.Namespace
	}
	return s
}

// everything is the right of a cluster administrator.
var everything = Access{Verb: "*", Group: "*", Resource: "*"}

// AccessTo returns the question whether the user may do something to one object.
func AccessTo(c client.Client, verb string, obj *unstructured.Unstructured) Access {
	kind := obj.GroupVersionKind()
	return Access{verb, kind.Group, resourceOf(c, kind), obj.GetNamespace(), obj.GetName()}
}

// resourceOf returns the plural of a kind; a guess for one that the server does not serve.
func resourceOf(c client.Client, kind schema.GroupVersionKind) string {
	if mapping, err := c.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version); err == nil {
		return mapping.Resource.Resource
	}
	plural, _ := meta.UnsafeGuessKindToResource(kind)
	return plural.Resource
}

// RecordAccess are the rights that writing and removing the record of an installation, and
// holding its Lease, take.
func RecordAccess(secretVerbs ...string) []Access {
	var needed []Access
	for _, verb := range secretVerbs {
		needed = append(needed, Access{verb, "", "secrets", Namespace, InventoryName})
	}
	for _, verb := range []string{"get", "create", "update", "delete"} {
		needed = append(needed, Access{verb, leaseKind.Group, "leases", Namespace, ""})
	}
	return needed
}

// Denied returns which of the rights the user lacks, each once and sorted. A user who may do
// everything is asked about once.
func Denied(ctx context.Context, c client.Client, needed []Access) ([]string, error) {
	all, err := allowed(ctx, c, everything)
	if err != nil || all {
		return nil, err
	}
	return deniedOf(ctx, c, needed)
}

// deniedOf is Denied for a user who may not do everything.
func deniedOf(ctx context.Context, c client.Client, needed []Access) ([]string, error) {
	// Most rights are for whole resources, and most questions are then one.
	named := map[Access][]Access{}
	var groups []Access
	for _, access := range needed {
		whole := access
		whole.Name = ""
		if _, seen := named[whole]; !seen {
			groups = append(groups, whole)
		}
		named[whole] = append(named[whole], access)
	}
	refused := make([]string, len(groups))
	err := forEach(ctx, len(groups), func(ctx context.Context, i int) error {
		ok, err := allowedAll(ctx, c, groups[i], named[groups[i]])
		if err == nil && !ok {
			refused[i] = groups[i].String()
		}
		return err
	})
	refused = slices.DeleteFunc(refused, func(s string) bool { return s == "" })
	slices.Sort(refused)
	return refused, err
}

// allowedAll reports whether the user has a right for a whole resource, or else for each of
// the objects that are named.
func allowedAll(ctx context.Context, c client.Client, whole Access, each []Access) (bool, error) {
	ok, err := allowed(ctx, c, whole)
	if ok || err != nil {
		return ok, err
	}
	for _, access := range each {
		if access == whole {
			return false, nil
		}
		if ok, err := allowed(ctx, c, access); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func allowed(ctx context.Context, c client.Client, a Access) (bool, error) {
	review := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"resourceAttributes": map[string]any{
			"verb": a.Verb, "group": a.Group, "resource": a.Resource, "namespace": a.Namespace, "name": a.Name,
		}},
	}}
	review.SetAPIVersion("authorization.k8s.io/v1")
	review.SetKind("SelfSubjectAccessReview")
	if err := c.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking whether you may %s: %w", a, err)
	}
	allowed, _, err := unstructured.NestedBool(review.Object, "status", "allowed")
	return allowed, err
}

// denied returns which of the rights that applying the objects needs the user lacks.
func (c *Cluster) denied(
	ctx context.Context, objects []*unstructured.Unstructured, current map[string]*unstructured.Unstructured,
) ([]string, error) {
	refused, err := Denied(ctx, c.client, c.permissions(objects))
	if err != nil {
		return nil, err
	}
	granting, err := c.deniedGrants(ctx, objects, current)
	return slices.Concat(refused, granting), err
}

// permissions lists what applying and waiting for the objects takes, each once.
func (c *Cluster) permissions(objects []*unstructured.Unstructured) []Access {
	plurals := map[schema.GroupKind]string{}
	for _, obj := range objects {
		if manifest.IsDefinition(obj) {
			plurals[manifest.DefinedKind(obj)] = live.Text(obj.Object, "spec", "names", "plural")
		}
	}
	seen := map[Access]bool{}
	var needed []Access
	add := func(a Access) {
		if !seen[a] {
			seen[a] = true
			needed = append(needed, a)
		}
	}
	for _, obj := range objects {
		kind := obj.GroupVersionKind()
		resource := plurals[kind.GroupKind()]
		if served, err := c.Serves(kind); resource == "" || err == nil && served {
			resource = resourceOf(c.client, kind)
		}
		for _, verb := range []string{"get", "create", "patch"} {
			add(Access{verb, kind.Group, resource, obj.GetNamespace(), ""})
		}
		if kind.Kind == "Deployment" {
			add(Access{"list", "", "pods", obj.GetNamespace(), ""})
		}
	}
	for _, verb := range []string{"get", "create", "patch"} {
		add(Access{verb, "", "secrets", Namespace, ""})
	}
	for _, access := range RecordAccess() {
		add(access)
	}
	return needed
}
