package judge_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/internal/judge"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/validator"
)

const hidden = "correct-horse"

var (
	secrets  = schema.GroupKind{Kind: "Secret"}
	accounts = schema.GroupKind{Kind: "ServiceAccount"}
	unserved = schema.GroupKind{Group: "example.dev", Kind: "Thing"}
	template = schema.GroupKind{Group: "triggers.tekton.dev", Kind: "TriggerTemplate"}
)

// fill puts something to look at into a cluster.
func fill(t *testing.T, config *rest.Config) {
	t.Helper()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := metav1.ObjectMeta{Name: "runner", Namespace: "default"}
	applied := at
	applied.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": hidden}
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: at},
		&corev1.Secret{ObjectMeta: applied, StringData: map[string]string{"token": hidden, "user": "x"}},
		&rbacv1.Role{ObjectMeta: at,
			Rules: []rbacv1.PolicyRule{{APIGroups: []string{"tekton.dev"}, Resources: []string{"taskruns"},
				Verbs: []string{"create"}}}},
		&rbacv1.RoleBinding{ObjectMeta: at,
			RoleRef:  rbacv1.RoleRef{Kind: "Role", Name: "runner", APIGroup: rbacv1.GroupName},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "runner", Namespace: "default"}}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCluster holds what a real API server answers, and that no Secret's value leaves.
func TestCluster(t *testing.T) {
	server := cluster.StartEmpty(t)
	fill(t, server.Config)
	c, err := judge.Connect(server.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	t.Run("Names", func(t *testing.T) {
		names, err := c.Names(ctx, accounts, "default")
		if err != nil || !slices.Contains(names, "runner") {
			t.Errorf("got %v %v", names, err)
		}
		names, err = c.Names(ctx, schema.GroupKind{Group: rbacv1.GroupName, Kind: "ClusterRole"}, "")
		if err != nil || !slices.Contains(names, "reader") {
			t.Errorf("got %v %v", names, err)
		}
		if names, err := c.Names(ctx, unserved, "default"); names != nil || err != nil {
			t.Errorf("of a kind that is not served: got %v %v", names, err)
		}
	})
	t.Run("Get", func(t *testing.T) {
		found, err := c.Get(ctx, accounts, "default", "runner")
		if err != nil || found["kind"] != "ServiceAccount" {
			t.Errorf("got %v %v", found, err)
		}
		for kind, name := range map[schema.GroupKind]string{accounts: "nobody", unserved: "x"} {
			if found, err := c.Get(ctx, kind, "default", name); found != nil || err != nil {
				t.Errorf("%v: got %v %v", kind, found, err)
			}
		}
		secret, err := c.Get(ctx, secrets, "default", "runner")
		if err != nil || secret["kind"] != "Secret" || secret["metadata"].(map[string]any)["name"] != "runner" ||
			secret["data"] != nil {
			t.Errorf("got %v %v", secret, err)
		}
		if reveals(secret) {
			t.Error("a Secret's value left with its metadata")
		}
	})
	t.Run("Keys", func(t *testing.T) {
		keys, err := c.Keys(ctx, "default", "runner")
		slices.Sort(keys)
		if err != nil || !reflect.DeepEqual(keys, []string{"token", "user"}) {
			t.Errorf("got %v %v", keys, err)
		}
		if keys, err := c.Keys(ctx, "default", "nothing"); keys != nil || err != nil {
			t.Errorf("got %v %v", keys, err)
		}
	})
	t.Run("May", func(t *testing.T) {
		access := validator.Access{Verb: "create", Group: "tekton.dev", Resource: "taskruns", Namespace: "default"}
		for account, want := range map[string]bool{"runner": true, "default": false} {
			if may, err := c.May(ctx, validator.Account{Namespace: "default", Name: account}, access); may != want ||
				err != nil {
				t.Errorf("%s: got %v %v", account, may, err)
			}
		}
	})
	t.Run("Layers", func(t *testing.T) { testLayers(t, c) })
	t.Run("without permission", func(t *testing.T) { testForbidden(t, server.Config) })
}

func reveals(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			if reveals(inner) {
				return true
			}
		}
	case string:
		return strings.Contains(v, hidden)
	}
	return false
}

func testLayers(t *testing.T, c *judge.Cluster) {
	set := validator.NewSet([]validator.Subject{{
		Kind: accounts.WithVersion("v1"), Namespace: "default",
		Fields: map[string]any{"metadata": map[string]any{"name": "filed"}},
	}})
	set.Elsewhere = map[string][]string{"TriggerTemplate": {"shared-*"}}
	l := judge.Layers{Files: set, Cluster: c}
	for _, name := range []string{"filed", "runner"} {
		if found, err := l.Get(t.Context(), accounts, "default", name); found == nil || err != nil {
			t.Errorf("%s: got %v %v", name, found, err)
		}
	}
	if found, err := l.Get(t.Context(), accounts, "default", "nobody"); found != nil || err != nil {
		t.Errorf("what is in neither does not exist: got %v %v", found, err)
	}
	if _, err := l.Get(t.Context(), template, "default", "shared-x"); !errors.Is(err, validator.ErrUnknown) {
		t.Errorf("what is elsewhere cannot be known: got %v", err)
	}
	if found, err := l.Get(t.Context(), template, "default", "x"); found != nil || err != nil {
		t.Errorf("got %v %v", found, err)
	}
	if keys, err := l.Keys(t.Context(), "default", "runner"); len(keys) != 2 || err != nil {
		t.Errorf("got %v %v", keys, err)
	}
	if names, err := l.Names(t.Context(), accounts, "default"); !slices.Contains(names, "runner") || err != nil {
		t.Errorf("got %v %v", names, err)
	}
}

// testForbidden holds that what may not be read is an error, and not absent.
func testForbidden(t *testing.T, config *rest.Config) {
	config = rest.CopyConfig(config)
	config.Impersonate.UserName = "system:serviceaccount:default:runner"
	c, err := judge.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), accounts, "default", "runner"); err == nil ||
		!strings.HasPrefix(err.Error(), "reading ServiceAccount runner: ") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Names(t.Context(), accounts, "default"); err == nil {
		t.Error("no error")
	}
	if _, err := c.Keys(t.Context(), "default", "runner"); err == nil {
		t.Error("no error")
	}
}
