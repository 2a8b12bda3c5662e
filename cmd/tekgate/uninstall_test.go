package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/release"
)

// site is a cluster to install into and to look at.
type site struct {
	t          *testing.T
	client     client.Client
	kubeconfig []string
}

func newSite(t *testing.T) *site { return newSiteOn(t, cluster.Start(t)) }

func newSiteOn(t *testing.T, c *cluster.Cluster) *site {
	k, err := client.New(c.Config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	endNamespaces(t, c.Config)
	return &site{t: t, client: k, kubeconfig: []string{"--kubeconfig", c.Kubeconfig}}
}

// endNamespaces does what the namespace controller does, which does not run
// beside a bare API server.
func endNamespaces(t *testing.T, config *rest.Config) {
	k := kubernetes.NewForConfigOrDie(config)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			list, err := k.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for i := range list.Items {
				if ns := &list.Items[i]; ns.DeletionTimestamp != nil {
					ns.Spec.Finalizers = []corev1.FinalizerName{}
					_, _ = k.CoreV1().Namespaces().Finalize(ctx, ns, metav1.UpdateOptions{})
				}
			}
		}
	}()
}

func (s *site) install() {
	s.t.Helper()
	must(s.t, append([]string{"install", "--mirror", "registry.example.com/tekton", "--skip-probe", "--wait=false"}, s.kubeconfig...)...)
}

func (s *site) uninstall(args ...string) (string, error) {
	s.t.Helper()
	_, talk, err := tekgate(s.t, "", append(append([]string{"uninstall"}, s.kubeconfig...), args...)...)
	return talk, err
}

// create creates objects, and those of a new kind as soon as that is served.
func (s *site) create(text string) {
	s.t.Helper()
	objects, err := release.Read(strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, obj := range objects {
		s.eventually(obj.GetKind()+" is served", func() bool {
			err = s.client.Create(s.t.Context(), obj)
			return !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err)
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// has reports whether an object is there.
func (s *site) has(named string) bool {
	s.t.Helper()
	obj := objectOf(named)
	err := s.client.Get(s.t.Context(), client.ObjectKeyFromObject(obj), obj)
	if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		s.t.Fatal(err)
	}
	return err == nil
}

func (s *site) delete(named string) {
	s.t.Helper()
	if err := s.client.Delete(s.t.Context(), objectOf(named)); err != nil {
		s.t.Fatal(err)
	}
}

// objectOf returns an object by "apiVersion Kind namespace/name".
func objectOf(named string) *unstructured.Unstructured {
	parts := strings.Fields(named)
	namespace, name, found := strings.Cut(parts[2], "/")
	if !found {
		namespace, name = "", parts[2]
	}
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(parts[0])
	obj.SetKind(parts[1])
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

func (s *site) expect(present bool, named ...string) {
	s.t.Helper()
	for _, n := range named {
		if s.has(n) != present {
			s.t.Errorf("%s: present is %v, want %v", n, !present, present)
		}
	}
}

const usersObjects = `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build, namespace: default}
spec: {steps: [{name: s, image: alpine}]}
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: build-1, namespace: default, finalizers: [chains.tekton.dev]}
spec: {taskRef: {name: build}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: listener, namespace: default}
spec: {serviceAccountName: default, triggers: []}
---
apiVersion: v1
kind: Secret
metadata: {name: users-own, namespace: tekton-pipelines}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: tekgate-webhook-ca, namespace: tekgate}
---
apiVersion: triggers.tekton.dev/v1alpha1
kind: ClusterInterceptor
metadata: {name: tekgate}
spec: {clientConfig: {url: 'https://x.example.com'}}
`

func (s *site) patch(named, patch string) {
	s.t.Helper()
	if err := s.client.Patch(s.t.Context(), objectOf(named), client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		s.t.Fatal(err)
	}
}

// Trap 35: the order is safe, and what users made survives.
func TestTrap35_UninstallKeepsWhatUsersMade(t *testing.T) {
	s := newSite(t)
	s.install()
	s.create(usersObjects)
	s.patch("v1 ConfigMap tekton-pipelines/feature-flags", `{"data":{"enable-api-fields":"alpha"}}`)

	talk, err := s.uninstall("--dry-run")
	if err != nil || !strings.Contains(talk, "nothing was removed") {
		t.Fatalf("dry run: %v\n%s", err, talk)
	}
	s.expect(true, "apps/v1 Deployment tekton-pipelines/tekton-pipelines-controller", "v1 Secret tekgate/tekgate-inventory")

	talk, err = s.uninstall()
	if err != nil {
		t.Fatalf("%v\n%s", err, talk)
	}
	inOrder(t, talk,
		"1 TaskRun objects of users stay: default/build-1",
		"who has the cluster's roles admin, edit or view loses the rights to Tekton's objects that tekton-aggregate-",
		"ConfigMap/tekton-pipelines/feature-flags stays: somebody changed enable-api-fields",
		"Namespace/tekton-pipelines stays: it holds ConfigMap/tekton-pipelines/feature-flags, Secret/tekton-pipelines/users-own",
		"removing Tekgate's webhooks and interceptor: 3 objects", "MutatingWebhookConfiguration/mutate.tekgate.dev deleted",
		"removing Tekton's webhooks", "ValidatingWebhookConfiguration/validation.webhook.pipeline.tekton.dev deleted",
		"removing workloads", "Deployment/tekton-pipelines/tekton-pipelines-webhook deleted",
		"removing permissions and configuration", "ClusterRole/tekton-pipelines-controller-cluster-access deleted",
		"Secret/tekgate/tekgate-inventory deleted",
		"removing namespaces", "Namespace/tekgate deleted", "uninstalled")
	s.expect(true, "tekton.dev/v1 Task default/build", "tekton.dev/v1 TaskRun default/build-1", "triggers.tekton.dev/v1beta1 EventListener default/listener",
		"v1 Secret tekton-pipelines/users-own", "v1 ConfigMap tekton-pipelines/feature-flags")
	s.expect(false, "v1 ServiceAccount tekton-pipelines/tekton-pipelines-controller", "v1 Secret tekgate/tekgate-webhook-ca",
		"triggers.tekton.dev/v1alpha1 ClusterInterceptor tekgate", "triggers.tekton.dev/v1alpha1 ClusterInterceptor cel",
		"v1 Namespace tekgate", "v1 Namespace tekton-pipelines-resolvers", "v1 ConfigMap tekton-pipelines/config-defaults")

	// A second time there is nothing to do, and a new install finds the edits.
	talk, err = s.uninstall()
	if err != nil || !strings.Contains(talk, "there is nothing to remove") {
		t.Errorf("a second uninstall: %v\n%s", err, talk)
	}
	s.install()
	s.expect(true, "tekton.dev/v1 TaskRun default/build-1", "apps/v1 Deployment tekgate/tekgate-webhook")
}

func TestPurge(t *testing.T) {
	s := newSite(t)
	s.install()
	s.create(usersObjects)

	talk, err := s.uninstall("--purge")
	if err == nil || !strings.Contains(err.Error(), "no terminal to ask on: pass --yes") {
		t.Fatalf("a purge without a question: %v", err)
	}
	for _, want := range []string{"1 EventListener objects of users DIE: default/listener", "1 TaskRun objects of users DIE: default/build-1", "1 objects in namespaces that go DIE: Secret/tekton-pipelines/users-own"} {
		if !strings.Contains(talk, want) {
			t.Errorf("the list lacks %q:\n%s", want, talk)
		}
	}
	s.expect(true, "tekton.dev/v1 Task default/build", "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutate.tekgate.dev")

	// A finalizer that nobody takes off is named, and nothing below it has gone.
	saved := filepath.Join(t.TempDir(), "saved.yaml")
	_, err = s.uninstall("--purge", "--yes", "--timeout", "1s", "--save", saved)
	const want = "TaskRun/default/build-1, which waits for finalizer chains.tekton.dev (Tekton Chains takes it off once it has signed the run)"
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "run the same command again") {
		t.Fatalf("error %v lacks %q", err, want)
	}
	text, err := os.ReadFile(saved)
	if err != nil || !strings.Contains(string(text), "kind: TaskRun") || strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "aHVudGVyMg") {
		t.Errorf("saved (%v):\n%s", err, text)
	}
	s.expect(true, "v1 Secret tekgate/tekgate-inventory", "apps/v1 Deployment tekton-pipelines/tekton-pipelines-controller")
	s.expect(false, "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutate.tekgate.dev", "triggers.tekton.dev/v1beta1 EventListener default/listener")

	talk, err = s.uninstall("--purge", "--yes", "--timeout", "10s", "--remove-finalizers")
	if err != nil {
		t.Fatalf("%v\n%s", err, talk)
	}
	s.expect(false, "apiextensions.k8s.io/v1 CustomResourceDefinition tasks.tekton.dev", "v1 Namespace tekton-pipelines", "v1 Namespace tekgate", "tekton.dev/v1 TaskRun default/build-1")
}

// What another tool installed is not Tekgate's to remove.
func TestUninstallLeavesWhatIsNotOurs(t *testing.T) {
	s := newSite(t)
	objects, err := embeddedObjects()
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objects {
		if obj.GetKind() == "Namespace" || obj.GetKind() == "ConfigMap" {
			if err := s.client.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
		}
	}
	talk, err := s.uninstall("--purge", "--yes")
	if err != nil || !strings.Contains(talk, "there is nothing to remove") {
		t.Errorf("%v\n%s", err, talk)
	}
	s.expect(true, "v1 Namespace tekton-pipelines", "v1 ConfigMap tekton-pipelines/feature-flags")
}

// An install that ended early left no complete inventory, or none.
func TestUninstallAfterAnInterruptedInstall(t *testing.T) {
	s := newSite(t)
	s.install()
	inventory, err := installer.ReadInventory(t.Context(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	inventory.Attempted, inventory.Objects, inventory.Complete = inventory.Objects, nil, false
	if err := installer.WriteInventory(t.Context(), s.client, inventory); err != nil {
		t.Fatal(err)
	}
	if talk, err := s.uninstall(); err != nil {
		t.Fatalf("%v\n%s", err, talk)
	}
	s.expect(false, "v1 Namespace tekgate", "v1 Namespace tekton-pipelines", "rbac.authorization.k8s.io/v1 ClusterRole tekgate-webhook")
}

// Objects stored in an older version are converted by Tekton's webhook whenever
// they are read. Where that is down a purge still gets rid of them.
func TestPurgeWithoutConversion(t *testing.T) {
	s := newSite(t)
	s.install()
	const definition = "apiextensions.k8s.io/v1 CustomResourceDefinition tasks.tekton.dev"
	store := func(version int) {
		other := 1 - version
		patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/versions/%d/storage","value":false},{"op":"replace","path":"/spec/versions/%d/storage","value":true}]`, other, version)
		if err := s.client.Patch(t.Context(), objectOf(definition), client.RawPatch("application/json-patch+json", []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	// A Service without Pods, which refuses connections at once.
	s.patch("v1 Service tekton-pipelines/tekton-pipelines-webhook", `{"spec":{"type":"ExternalName","externalName":"localhost","clusterIP":null,"clusterIPs":null}}`)
	store(0) // v1beta1
	time.Sleep(2 * time.Second)
	s.create("apiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata: {name: old, namespace: default}\nspec: {steps: [{name: s, image: alpine}]}\n")
	store(1)
	time.Sleep(2 * time.Second)

	talk, err := s.uninstall("--purge", "--yes", "--timeout", "20s")
	if err != nil || !strings.Contains(talk, "all Task objects of users DIE; they cannot be listed: ") || !strings.Contains(talk, "Task/default/old deleted") {
		t.Fatalf("%v\n%s", err, talk)
	}
	s.expect(false, definition, "v1 Namespace tekgate")
}
