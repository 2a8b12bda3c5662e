package judge_test

import (
	"errors"
	"fmt"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/internal/judge"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/validator"
)

// permissions are roles of several forms, and bindings to subjects of all kinds.
func permissions() []client.Object {
	at := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	rule := func(verb, group, resource string, names ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource},
			ResourceNames: names}}
	}
	account := func(namespace, name string) []rbacv1.Subject {
		return []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}}
	}
	other := func(kind, name string) []rbacv1.Subject {
		return []rbacv1.Subject{{Kind: kind, Name: name, APIGroup: rbacv1.GroupName}}
	}
	ref := func(kind, name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	}
	return []client.Object{
		&rbacv1.Role{ObjectMeta: at("default", "create"), Rules: rule("create", "tekton.dev", "taskruns")},
		&rbacv1.ClusterRole{ObjectMeta: at("", "read"), Rules: rule("*", "*", "secrets")},
		&rbacv1.ClusterRole{ObjectMeta: at("", "all-of-tekton"), Rules: rule("create", "tekton.dev", "*")},
		&rbacv1.ClusterRole{ObjectMeta: at("", "act"), Rules: rule("impersonate", "", "serviceaccounts", "builder")},
		&rbacv1.RoleBinding{ObjectMeta: at("default", "a"), RoleRef: ref("Role", "create"), Subjects: account("", "a")},
		&rbacv1.RoleBinding{ObjectMeta: at("default", "b"), RoleRef: ref("ClusterRole", "read"),
			Subjects: account("default", "b")},
		&rbacv1.ClusterRoleBinding{ObjectMeta: at("", "c"), RoleRef: ref("ClusterRole", "read"),
			Subjects: account("default", "c")},
		&rbacv1.ClusterRoleBinding{ObjectMeta: at("", "d"), RoleRef: ref("ClusterRole", "cluster-admin"),
			Subjects: other("User", "system:serviceaccount:default:d")},
		&rbacv1.RoleBinding{ObjectMeta: at("default", "e"), RoleRef: ref("ClusterRole", "act"),
			Subjects: account("default", "e")},
		&rbacv1.ClusterRoleBinding{ObjectMeta: at("", "group"), RoleRef: ref("ClusterRole", "all-of-tekton"),
			Subjects: other("Group", "system:serviceaccounts:kube-system")},
		&rbacv1.ClusterRoleBinding{ObjectMeta: at("", "f"), RoleRef: ref("ClusterRole", "read"),
			Subjects: account("kube-system", "a")},
	}
}

// TestPermissionsAgree holds that a set of files says of its roles what an API server says of the same, and that
// files over a cluster allow what either of them does.
func TestPermissionsAgree(t *testing.T) {
	server := cluster.StartEmpty(t)
	c, err := client.New(server.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	connected, err := judge.Connect(server.Config)
	if err != nil {
		t.Fatal(err)
	}
	set := validator.NewSet(asSubjects(t, c, permissions()))
	var accesses []validator.Access
	for _, namespace := range []string{"", "default", "kube-system"} {
		for _, one := range []validator.Access{
			{Verb: "create", Group: "tekton.dev", Resource: "taskruns"}, {Verb: "list", Resource: "secrets"},
			{Verb: "get", Group: "tekton.dev", Resource: "taskruns"}, {Verb: "*", Group: "*", Resource: "*"},
			{Verb: "impersonate", Resource: "serviceaccounts", Name: "builder"},
			{Verb: "impersonate", Resource: "serviceaccounts", Name: "another"},
			{Verb: "impersonate", Resource: "serviceaccounts"}, {Verb: "get", Resource: "pods/log"},
		} {
			one.Namespace = namespace
			accesses = append(accesses, one)
		}
	}
	eachAnswer(t, set, accesses, func(who validator.Account, access validator.Access, may bool) {
		l := judge.Layers{Files: set, Cluster: connected}
		if over, err := l.May(t.Context(), who, access); err != nil || over != may {
			t.Errorf("before they are applied: %v %s: got %v %v, want %v", who, access, over, err, may)
		}
	})
	for _, o := range permissions() {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	allowed, refused := 0, 0
	eachAnswer(t, set, accesses, func(who validator.Account, access validator.Access, may bool) {
		want, err := connected.May(t.Context(), who, access)
		if err != nil || may != want {
			t.Errorf("%v %s: the files say %v, the server %v %v", who, access, may, want, err)
		}
		if want {
			allowed++
		} else {
			refused++
		}
	})
	if allowed < 20 || refused < 40 {
		t.Errorf("%d were allowed and %d refused, so this proves little", allowed, refused)
	}
}

// eachAnswer calls visit for each question that a set can answer.
func eachAnswer(t *testing.T, set *validator.Set, accesses []validator.Access,
	visit func(who validator.Account, access validator.Access, may bool)) {
	t.Helper()
	for _, namespace := range []string{"default", "kube-system"} {
		for _, name := range []string{"a", "b", "c", "d", "e", "nobody"} {
			who := validator.Account{Namespace: namespace, Name: name}
			for _, access := range accesses {
				may, err := set.May(t.Context(), who, access)
				switch {
				case err == nil:
					visit(who, access, may)
				case !errors.Is(err, validator.ErrUnknown):
					t.Errorf("%v %s: got %v", who, access, err)
				}
			}
		}
	}
}

// asSubjects returns objects as they would stand in files.
func asSubjects(t *testing.T, c client.Client, all []client.Object) []validator.Subject {
	t.Helper()
	var subjects []validator.Subject
	for _, o := range all {
		kind, err := c.GroupVersionKindFor(o)
		if err != nil {
			t.Fatal(err)
		}
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", o.GetName(), err))
		}
		subjects = append(subjects, validator.Subject{Kind: kind, Namespace: o.GetNamespace(), Fields: fields})
	}
	return subjects
}
