package installer

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

const rbacGroup = "rbac.authorization.k8s.io"

// deniedGrants returns which of the verbs escalate and bind the user lacks for the roles and
// bindings that are yet to come. The API server lets nobody create a role with rights that he
// does not have, unless he has the verb escalate; and a role that does not exist yet can be
// bound only with the verb bind. It answers a dry run of such a binding with "not found".
//
// Roles and bindings that exist are left to the dry run: the server accepts those whose
// rights the user has.
func (c *Cluster) deniedGrants(
	ctx context.Context, objects []*unstructured.Unstructured, current map[string]*unstructured.Unstructured,
) ([]string, error) {
	all, err := allowed(ctx, c.client, everything)
	if err != nil || all {
		return nil, err
	}
	var bind []Access
	lacking := map[string]bool{}
	for _, obj := range objects {
		if obj.GroupVersionKind().Group != rbacGroup || current[kube.Identity(obj)] != nil {
			continue
		}
		switch obj.GetKind() {
		case "Role", "ClusterRole":
			if escalate, may := AccessTo(c.client, "escalate", obj), false; !lacking[escalate.String()] {
				if may, err = c.mayCreateRole(ctx, escalate, obj); err != nil {
					return nil, err
				}
				lacking[escalate.String()] = !may
			}
		case "RoleBinding", "ClusterRoleBinding":
			if role := boundRole(obj); current[kube.Identity(role)] == nil && coming(role, objects) {
				bind = append(bind, AccessTo(c.client, "bind", role))
			}
		}
	}
	refused, err := deniedOf(ctx, c.client, bind)
	for right, lacks := range lacking {
		if lacks {
			refused = append(refused, right+" (their rules grant what you may not do yourself)")
		}
	}
	slices.Sort(refused)
	return refused, err
}

// boundRole returns the role that a binding refers to, without its rules.
func boundRole(binding *unstructured.Unstructured) *unstructured.Unstructured {
	kind := binding.GroupVersionKind()
	kind.Kind = live.Text(binding.Object, "roleRef", "kind")
	namespace := binding.GetNamespace()
	if kind.Kind == "ClusterRole" {
		namespace = ""
	}
	return NewObject(kind, namespace, live.Text(binding.Object, "roleRef", "name"))
}

// coming reports whether an object is among others.
func coming(obj *unstructured.Unstructured, objects []*unstructured.Unstructured) bool {
	return slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool {
		return kube.Identity(o) == kube.Identity(obj)
	})
}

// mayCreateRole reports whether the user has the verb escalate for a role, or all of its rights.
func (c *Cluster) mayCreateRole(ctx context.Context, escalate Access, role *unstructured.Unstructured) (bool, error) {
	if may, err := allowed(ctx, c.client, escalate); may || err != nil {
		return may, err
	}
	refused, err := deniedOf(ctx, c.client, rightsOf(role))
	return len(refused) == 0, err
}

// rightsOf returns what the rules of a role grant for resources. URLs of the server itself are
// left to the dry run.
func rightsOf(role *unstructured.Unstructured) []Access {
	var rights []Access
	for _, rule := range live.Maps(role.Object, "rules") {
		names, _, _ := unstructured.NestedStringSlice(rule, "resourceNames")
		if len(names) == 0 {
			names = []string{""}
		}
		groups, _, _ := unstructured.NestedStringSlice(rule, "apiGroups")
		resources, _, _ := unstructured.NestedStringSlice(rule, "resources")
		verbs, _, _ := unstructured.NestedStringSlice(rule, "verbs")
		for _, group := range groups {
			for _, resource := range resources {
				for _, verb := range verbs {
					for _, name := range names {
						rights = append(rights, Access{verb, group, resource, role.GetNamespace(), name})
					}
				}
			}
		}
	}
	return rights
}
