package manifests_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/release"
)

// identities is a real API server with everything of the manifests that decides about what
// the servers may do.
type identities struct {
	*testing.T
	admin, webhook, interceptor client.Client
}

func newIdentities(t *testing.T) *identities {
	t.Helper()
	c := cluster.StartEmpty(t)
	as := func(user string) client.Client {
		config := rest.CopyConfig(c.Config)
		config.QPS, config.Impersonate.UserName = -1, user
		k, err := client.New(config, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	i := &identities{
		T: t, admin: as(""), webhook: as("system:serviceaccount:tekgate:tekgate-webhook"),
		interceptor: as("system:serviceaccount:tekgate:tekgate-interceptor"),
	}
	err := cluster.InstallCRDs(t.Context(), i.admin, "github.com/tektoncd/triggers", "config/300-clusterinterceptor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	i.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: tekton-pipelines}\n")
	kinds := []string{
		"Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Lease",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	}
	for _, obj := range own(t) {
		if slices.Contains(kinds, obj.GetKind()) {
			if err := i.admin.Create(t.Context(), obj); err != nil {
				t.Fatalf("%s %s: %v", obj.GetKind(), obj.GetName(), err)
			}
		}
	}
	i.create(tooManyRights)
	i.await()
	return i
}

// tooManyRights let the interceptor touch Leases where the manifests do not, so that the
// policies alone stop it.
const tooManyRights = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: any-leases}
rules: [{apiGroups: [coordination.k8s.io], resources: [leases], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: any-leases}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: any-leases}
subjects: [{kind: ServiceAccount, name: tekgate-interceptor, namespace: tekgate}]
`

// await waits until the API server enforces the policies, each of which it learns of by
// itself.
func (i *identities) await() {
	i.Helper()
	for _, try := range []func() error{
		func() error { return i.dry(i.webhook, secretOf("other", "Opaque")) },
		func() error { return i.dry(i.interceptor, leaseOf("tekgate", "other", nil)) },
		func() error {
			return i.patch(i.webhook, "MutatingWebhookConfiguration", `{"metadata":{"labels":{"a":"b"}}}`)
		},
	} {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			err := try()
			if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
				break
			}
			if time.Now().After(deadline) {
				i.Fatalf("the policies are not enforced: %v", err)
			}
		}
	}
}

func (i *identities) create(text string) {
	i.Helper()
	objects, err := release.Read(strings.NewReader(text))
	if err != nil {
		i.Fatal(err)
	}
	for _, obj := range objects {
		if err := i.admin.Create(i.Context(), obj); err != nil {
			i.Fatal(err)
		}
	}
}

func (i *identities) dry(as client.Client, obj *unstructured.Unstructured) error {
	return as.Create(i.Context(), obj.DeepCopy(), client.DryRunAll)
}

// configuration returns the live configuration of a kind.
func (i *identities) configuration(kind string) *unstructured.Unstructured {
	i.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion("admissionregistration.k8s.io/v1")
	obj.SetKind(kind)
	obj.SetName("validate.tekgate.dev")
	if strings.HasPrefix(kind, "Mut") {
		obj.SetName("mutate.tekgate.dev")
	}
	if err := i.admin.Get(i.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		i.Fatal(err)
	}
	return obj
}

func (i *identities) patch(as client.Client, kind, patch string) error {
	i.Helper()
	return as.Patch(i.Context(), i.configuration(kind), client.RawPatch(types.MergePatchType, []byte(patch)),
		client.DryRunAll)
}

func secretOf(name, kind string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"type": kind}}
	obj.SetAPIVersion("v1")
	obj.SetKind("Secret")
	obj.SetNamespace("tekgate")
	obj.SetName(name)
	if kind == "kubernetes.io/tls" {
		obj.Object["data"] = map[string]any{"tls.crt": "", "tls.key": ""}
	}
	if kind == "kubernetes.io/service-account-token" {
		obj.SetAnnotations(map[string]string{"kubernetes.io/service-account.name": "tekgate-interceptor"})
	}
	return obj
}

// deliveries is the namespace in which the interceptor remembers them.
const deliveries = "tekgate-deliveries"

func leaseOf(namespace, name string, labels map[string]string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	obj.SetAPIVersion("coordination.k8s.io/v1")
	obj.SetKind("Lease")
	obj.SetNamespace(namespace)
	obj.SetName(name)
	obj.SetLabels(labels)
	return obj
}

func interceptorOf(name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	obj.SetAPIVersion("triggers.tekton.dev/v1alpha1")
	obj.SetKind("ClusterInterceptor")
	obj.SetName(name)
	return obj
}

// denied holds that a policy denies a request, and that a policy did it and not RBAC: what
// RBAC denies proves nothing about them.
func (i *identities) denied(what string, err error) {
	i.Helper()
	if err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
		i.Errorf("%s: error %v", what, err)
	}
}

// TestIdentities tries, with the servers' own identities, what a server that is taken over
// would do, and that the servers' own work passes.
func TestIdentities(t *testing.T) {
	i := newIdentities(t)
	t.Run("webhook configurations", func(t *testing.T) { i.as(t).testConfigurations() })
	t.Run("Secrets", func(t *testing.T) { i.as(t).testSecrets() })
	t.Run("Leases", func(t *testing.T) { i.as(t).testLeases() })
	t.Run("ClusterInterceptors", func(t *testing.T) {
		if err := i.dry(i.interceptor, interceptorOf("tekgate")); err != nil {
			t.Errorf("its own: %v", err)
		}
		i.as(t).denied("another ClusterInterceptor", i.dry(i.interceptor, interceptorOf("cel")))
	})
}

func (i *identities) as(t *testing.T) *identities {
	other := *i
	other.T = t
	return &other
}

func (i *identities) testConfigurations() {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		i.change(kind, "the caBundles", true, func(hook map[string]any) {
			hook["clientConfig"].(map[string]any)["caBundle"] = base64.StdEncoding.EncodeToString(bundle)
		})
		i.change(kind, "the condition", true, func(hook map[string]any) {
			setCondition(hook, "wanted-by-configuration")
		})
		for field, value := range map[string]any{
			"failurePolicy": "Fail", "timeoutSeconds": int64(30), "matchPolicy": "Exact",
			"sideEffects": map[bool]string{true: "NoneOnDryRun", false: "None"}[strings.HasPrefix(kind, "Mut")],
			"rules": []any{map[string]any{
				"apiGroups": []any{"*"}, "apiVersions": []any{"*"}, "resources": []any{"*/*"}, "operations": []any{"*"},
				"scope": "*",
			}},
			"namespaceSelector": map[string]any{},
			"objectSelector":    map[string]any{"matchLabels": map[string]any{"a": "b"}},
			"clientConfig":      map[string]any{"url": "https://evil.example.com/"}, "matchConditions": []any{},
			"admissionReviewVersions": []any{"v1", "v1beta1"}, "name": "other.tekgate.dev",
		} {
			i.change(kind, field, false, func(hook map[string]any) { hook[field] = value })
		}
		if strings.HasPrefix(kind, "Mut") {
			i.change(kind, "reinvocationPolicy", false, func(hook map[string]any) {
				hook["reinvocationPolicy"] = "Never"
			})
		}
		i.change(kind, "the service", false, func(hook map[string]any) {
			hook["clientConfig"].(map[string]any)["service"].(map[string]any)["name"] = "evil"
		})
		i.change(kind, "another condition", false, func(hook map[string]any) { setCondition(hook, "") })
		for what, patch := range map[string]string{
			"a label": `{"metadata":{"labels":{"a":"b"}}}`, "an annotation": `{"metadata":{"annotations":{"a":"b"}}}`,
			"a finalizer": `{"metadata":{"finalizers":["a.b/c"]}}`, "no webhook": `{"webhooks":[]}`,
			"an owner": `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"b"}]}}`,
		} {
			i.denied(kind+": "+what, i.patch(i.webhook, kind, patch))
		}
	}
	dry := client.NewDryRunClient(i.webhook)
	if changed, err := certs.InjectMutating(i.Context(), dry, "mutate.tekgate.dev", bundle); err != nil || !changed {
		i.Errorf("what the admission server does with a bundle: changed %v, error %v", changed, err)
	}
}

// setCondition changes the match condition of a name, or the first one of another name.
func setCondition(hook map[string]any, name string) {
	conditions, _ := hook["matchConditions"].([]any)
	for _, c := range conditions {
		condition := c.(map[string]any)
		if condition["name"] == name || name == "" && condition["name"] != "wanted-by-configuration" {
			condition["expression"] = "1 == 1"
			return
		}
	}
}

// change patches the first webhook of a configuration as the admission server.
func (i *identities) change(kind, what string, allowed bool, change func(hook map[string]any)) {
	i.Helper()
	hooks := i.configuration(kind).Object["webhooks"].([]any)
	change(hooks[0].(map[string]any))
	patch, err := json.Marshal(map[string]any{"webhooks": hooks})
	if err != nil {
		i.Fatal(err)
	}
	err = i.patch(i.webhook, kind, string(patch))
	switch {
	case !allowed:
		i.denied(kind+": "+what, err)
	case err != nil:
		i.Errorf("%s: %s: %v", kind, what, err)
	}
}

func (i *identities) testSecrets() {
	const tls, opaque, token = "kubernetes.io/tls", "Opaque", "kubernetes.io/service-account-token"
	servers := map[string]client.Client{"tekgate-webhook-ca": i.webhook, "tekgate-interceptor-ca": i.interceptor}
	for ca, server := range servers {
		if err := i.dry(server, secretOf(ca, tls)); err != nil {
			i.Errorf("%s: %v", ca, err)
		}
		for what, obj := range map[string]*unstructured.Unstructured{
			"another type": secretOf(ca, opaque), "a token": secretOf("token", token),
			"a token as CA": secretOf(ca, token), "another name": secretOf("tekgate-ca", tls),
			"the inventory": secretOf("tekgate-inventory", "tekgate.dev/inventory"),
		} {
			i.denied(ca+": "+what, i.dry(server, obj))
		}
		named := secretOf("", tls)
		named.SetGenerateName(ca)
		i.denied(ca+": a generated name", i.dry(server, named))
		for other := range servers {
			if other != ca {
				i.denied(ca+": the other server's CA", i.dry(server, secretOf(other, tls)))
			}
		}
		i.create(fmt.Sprintf("apiVersion: v1\nkind: Secret\ntype: %s\nmetadata: {name: %s, namespace: tekgate}\n"+
			"data: {tls.crt: '', tls.key: ''}\n", tls, ca))
		i.updates(server, ca)
	}
}

// updates holds that the server may replace its CA.
func (i *identities) updates(server client.Client, ca string) {
	i.Helper()
	secret := secretOf(ca, "kubernetes.io/tls")
	if err := i.admin.Get(i.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		i.Fatal(err)
	}
	secret.SetAnnotations(map[string]string{"tekgate.dev/published": "now"})
	if err := server.Update(i.Context(), secret, client.DryRunAll); err != nil {
		i.Errorf("replacing %s: %v", ca, err)
	}
}

func (i *identities) testLeases() {
	delivery := map[string]string{"tekgate.dev/replay-namespace": "ci"}
	if err := i.dry(i.interceptor, leaseOf(deliveries, "replay-1", delivery)); err != nil {
		i.Errorf("a delivery: %v", err)
	}
	many := map[string]string{"tekgate.dev/replay-namespace": "ci", "tekgate.dev/replay-fold": "true"}
	if err := i.dry(i.interceptor, leaseOf(deliveries, "replay-fold-1", many)); err != nil {
		i.Errorf("deliveries that are folded: %v", err)
	}
	i.denied("a Lease without the label", i.dry(i.interceptor, leaseOf(deliveries, "replay-1", nil)))
	i.denied("a Lease of another name", i.dry(i.interceptor, leaseOf(deliveries, "tekgate-install", delivery)))
	for _, namespace := range []string{"tekgate", "tekton-pipelines", "kube-system", "default"} {
		i.denied("a delivery in "+namespace, i.dry(i.interceptor, leaseOf(namespace, "replay-1", delivery)))
	}
	i.create("apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: tekgate-install, namespace: tekgate}\n")
	deletes := func(namespace, name string) error {
		return i.interceptor.Delete(i.Context(), leaseOf(namespace, name, nil), client.DryRunAll)
	}
	i.denied("deleting the Lease of an install", deletes("tekgate", "tekgate-install"))
	i.denied("deleting the Lease of the replicas", deletes("tekgate", "tekgate-webhook-replicas"))
	i.create("apiVersion: coordination.k8s.io/v1\nkind: Lease\n" +
		"metadata: {name: replay-2, namespace: tekgate-deliveries, labels: {tekgate.dev/replay-namespace: ci}}\n")
	if err := deletes(deliveries, "replay-2"); err != nil {
		i.Errorf("deleting a delivery: %v", err)
	}
}

// TestOthersAreNotJudged holds that the policies stop nobody but the servers.
func TestOthersAreNotJudged(t *testing.T) {
	i := newIdentities(t)
	if err := i.dry(i.admin, secretOf("any", "Opaque")); err != nil {
		t.Error(err)
	}
	if err := i.patch(i.admin, "MutatingWebhookConfiguration", `{"metadata":{"labels":{"a":"b"}}}`); err != nil {
		t.Error(err)
	}
	for _, obj := range []*unstructured.Unstructured{leaseOf("tekgate", "any", nil), interceptorOf("any")} {
		if err := i.dry(i.admin, obj); err != nil {
			t.Error(err)
		}
	}
}
