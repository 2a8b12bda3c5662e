package manifests_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/manifests"
)

// role is a Role or a ClusterRole, and where it holds.
type role struct {
	name, where string // where is a namespace, or "everywhere"
	rules       []rbacv1.PolicyRule
}

func roles(t *testing.T) []role {
	t.Helper()
	var all []role
	certificates, err := manifests.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range slices.Concat(own(t), certificates) {
		switch obj.GetKind() {
		case "Role":
			all = append(all, role{obj.GetName(), obj.GetNamespace(), convert[rbacv1.Role](t, obj).Rules})
		case "ClusterRole":
			all = append(all, role{obj.GetName(), "everywhere", convert[rbacv1.ClusterRole](t, obj).Rules})
		}
	}
	return all
}

// TestRights lists what each server may do, so that a right more is a line more to
// agree to. The role tekgate-webhook-certificate is there only where cert-manager
// issues the certificates.
func TestRights(t *testing.T) {
	var text strings.Builder
	for _, r := range roles(t) {
		fmt.Fprintf(&text, "%s, %s:\n", r.name, r.where)
		for _, rule := range r.rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					if group != "" {
						resource += "." + group
					}
					names := ""
					if len(rule.ResourceNames) > 0 {
						names = " " + strings.Join(rule.ResourceNames, ", ")
					}
					fmt.Fprintf(&text, "  %s%s: %s\n", resource, names, strings.Join(rule.Verbs, ", "))
				}
			}
		}
	}
	golden.Equal(t, "testdata/rights.txt", []byte(text.String()))
}

// TestLeastPrivilege refuses what no server of ours needs.
func TestLeastPrivilege(t *testing.T) {
	all := roles(t)
	if len(all) != 7 {
		t.Errorf("%d roles were judged", len(all))
	}
	for _, r := range all {
		for _, rule := range r.rules {
			if problem := tooMuch(r, rule); problem != "" {
				t.Errorf("%s, %s: %s: %v", r.name, r.where, problem, rule)
			}
		}
	}
}

// tooMuch says what is wrong with a right, if anything.
func tooMuch(r role, rule rbacv1.PolicyRule) string {
	everything := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.ResourceNames)
	onlyCreates := slices.Equal(rule.Verbs, []string{"create"}) // which RBAC cannot limit by name
	writes := slices.ContainsFunc(
		rule.Verbs,
		func(verb string) bool { return !slices.Contains([]string{"get", "list", "watch", "create"}, verb) },
	)
	// The interceptor reads the secrets of triggers, which lie beside the triggers,
	// in namespaces and under names that only those know: by name, one at a time.
	triggersSecrets := r.name == "tekgate-interceptor" && r.where == "everywhere" &&
		slices.Equal(rule.Verbs, []string{"get"})
	// Its deliveries are Leases of a namespace of their own, with names that are hashes.
	deliveries := r.name == "tekgate-interceptor" && r.where == "tekgate-deliveries" &&
		slices.Equal(rule.Resources, []string{"leases"})
	// Events on a bad configuration or an old CA repeat, and are patched then.
	events := r.where == "tekgate" && slices.Equal(rule.Resources, []string{"events"})
	switch {
	case slices.Contains(everything, "*"):
		return "a wildcard"
	case len(rule.NonResourceURLs) > 0:
		return "a URL"
	case slices.ContainsFunc(rule.Verbs, func(verb string) bool {
		return slices.Contains([]string{"impersonate", "escalate", "bind", "deletecollection"}, verb)
	}):
		return "a verb that gives others' rights or takes everything"
	case slices.Contains(rule.Resources, "secrets") && len(rule.ResourceNames) == 0 && !triggersSecrets &&
		(!onlyCreates || r.where == "everywhere"):
		return "Secrets that are not named"
	case slices.Contains(rule.Resources, "secrets") && slices.ContainsFunc(rule.Verbs,
		func(verb string) bool { return verb == "list" || verb == "watch" }):
		return "Secrets in a list, which shows them all"
	case writes && len(rule.ResourceNames) == 0 && !deliveries && !events:
		return "writing what is not named"
	case slices.ContainsFunc(rule.Resources, func(resource string) bool { return strings.Contains(resource, "/") }):
		return "a subresource"
	}
	return ""
}

// TestTooMuch proves that the test above can fail.
func TestTooMuch(t *testing.T) {
	for _, tt := range []struct {
		rule rbacv1.PolicyRule
		want string
	}{
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"*"}, Verbs: []string{"get"}}, "a wildcard"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"*"}}, "a wildcard"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}},
			"Secrets that are not named"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
			"Secrets that are not named"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"a"},
			Verbs: []string{"watch"}}, "Secrets in a list, which shows them all"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"patch"}},
			"writing what is not named"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}},
			"a subresource"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"users"}, Verbs: []string{"impersonate"}},
			"a verb that gives others' rights or takes everything"},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}, ""},
	} {
		if got := tooMuch(role{name: "tekgate-webhook", where: "everywhere"}, tt.rule); got != tt.want {
			t.Errorf("%v is %q, want %q", tt.rule, got, tt.want)
		}
	}
}
