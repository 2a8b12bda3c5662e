package uninstall

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/wellknown"
)

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

// Trap 35: the order is safe, and what users made survives.
func TestTrap35_UninstallKeepsWhatUsersMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Install()
	s.Create(usersObjects)
	s.Patch("v1 ConfigMap tekton-pipelines/feature-flags", `{"data":{"enable-api-fields":"alpha"}}`)

	errOut, err := s.Uninstall("--dry-run")
	if err != nil || !strings.Contains(errOut, "nothing was removed") {
		t.Fatalf("dry run: %v\n%s", err, errOut)
	}
	s.Expect(true, "apps/v1 Deployment tekton-pipelines/tekton-pipelines-controller",
		"v1 Secret tekgate/tekgate-inventory")

	errOut, err = s.Uninstall()
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	clitest.InOrder(t, errOut,
		"1 TaskRun objects of users stay: default/build-1",
		"who has the cluster's roles admin, edit or view loses the rights to Tekton's objects that tekton-aggregate-",
		"ConfigMap/tekton-pipelines/feature-flags stays: somebody changed enable-api-fields",
		"Namespace/tekton-pipelines stays: it holds ConfigMap/tekton-pipelines/feature-flags, Secret/tekton-pipelines/users-own",
		"removing Tekgate's webhooks and interceptor: 3 objects",
		"MutatingWebhookConfiguration/mutate.tekgate.dev deleted",
		"removing Tekton's webhooks", "ValidatingWebhookConfiguration/validation.webhook.pipeline.tekton.dev deleted",
		"removing workloads", "Deployment/tekton-pipelines/tekton-pipelines-webhook deleted",
		"removing permissions and configuration", "ClusterRole/tekton-pipelines-controller-cluster-access deleted",
		"Secret/tekgate/tekgate-inventory deleted",
		"removing namespaces", "Namespace/tekgate deleted", "uninstalled")
	s.Expect(true, "tekton.dev/v1 Task default/build", "tekton.dev/v1 TaskRun default/build-1",
		"triggers.tekton.dev/v1beta1 EventListener default/listener",
		"v1 Secret tekton-pipelines/users-own", "v1 ConfigMap tekton-pipelines/feature-flags")
	s.Expect(false, "v1 ServiceAccount tekton-pipelines/tekton-pipelines-controller",
		"v1 Secret tekgate/tekgate-webhook-ca",
		"triggers.tekton.dev/v1alpha1 ClusterInterceptor tekgate",
		"triggers.tekton.dev/v1alpha1 ClusterInterceptor cel",
		"v1 Namespace tekgate", "v1 Namespace tekgate-deliveries", "v1 Namespace tekton-pipelines-resolvers",
		"v1 ConfigMap tekton-pipelines/config-defaults")

	// A second time there is nothing to do, and a new install finds the edits.
	errOut, err = s.Uninstall()
	if err != nil || !strings.Contains(errOut, "there is nothing to remove") {
		t.Errorf("a second uninstall: %v\n%s", err, errOut)
	}
	s.Install()
	s.Expect(true, "tekton.dev/v1 TaskRun default/build-1", "apps/v1 Deployment tekgate/tekgate-webhook")
}

// weak may read everything, and delete of some groups alone.
const weak = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: weak}
rules:
- {apiGroups: ["*"], resources: ["*"], verbs: [get, list]}
- {apiGroups: [apps, admissionregistration.k8s.io], resources: ["*"], verbs: [delete]}
- {apiGroups: [coordination.k8s.io], resources: ["*"], verbs: ["*"]}
- {apiGroups: [""], resources: [secrets], resourceNames: [tekgate-inventory], verbs: [delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: weak}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: weak}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: weak}]
`

// TestUninstallAsksForPermissionsFirst holds that a user who may not finish an uninstall cannot
// begin it.
func TestUninstallAsksForPermissionsFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Install()
	s.Create(usersObjects)
	s.Create(weak)
	as := *s
	as.Kubeconfig = []string{"--kubeconfig", clitest.Impersonating(t, s.Kubeconfig[1], "weak")}
	for _, args := range [][]string{{"--dry-run"}, {}, {"--purge", "--yes"}} {
		errOut, err := as.Uninstall(args...)
		if err == nil {
			t.Fatalf("%v went well:\n%s", args, errOut)
		}
		for _, want := range []string{
			"nothing was removed, since you may not delete ", "delete clusterroles.rbac.authorization.k8s.io",
			"delete services in tekton-pipelines", "delete namespaces", "cluster-admin",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %v lacks %q", args, err, want)
			}
		}
		for _, allowed := range []string{"deployments.apps", "webhookconfigurations", "leases", "tekgate-inventory"} {
			if strings.Contains(err.Error(), allowed) {
				t.Errorf("%v: error %v names what is allowed", args, err)
			}
		}
		users := strings.Contains(err.Error(), "delete taskruns.tekton.dev")
		if purge := len(args) == 2; users != purge {
			t.Errorf("%v: error %v names users' objects: %v", args, err, users)
		}
	}
	s.Expect(true, "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutate.tekgate.dev",
		"apps/v1 Deployment tekton-pipelines/tekton-pipelines-controller", "tekton.dev/v1 TaskRun default/build-1")
}

func TestPurge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Install()
	s.Create(usersObjects)

	errOut, err := s.Uninstall("--purge")
	if err == nil || !strings.Contains(err.Error(), "no terminal to ask on: pass --yes") {
		t.Fatalf("a purge without a question: %v", err)
	}
	for _, want := range []string{"1 EventListener objects of users DIE: default/listener",
		"1 TaskRun objects of users DIE: default/build-1",
		"1 objects in namespaces that go DIE: Secret/tekton-pipelines/users-own"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("the list lacks %q:\n%s", want, errOut)
		}
	}
	s.Expect(true, "tekton.dev/v1 Task default/build",
		"admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutate.tekgate.dev")

	// A finalizer that nobody takes off is named, and nothing below it has gone.
	saved := filepath.Join(t.TempDir(), "saved.yaml")
	_, err = s.Uninstall("--purge", "--yes", "--timeout", "1s", "--save", saved)
	const want = "TaskRun/default/build-1, which waits for finalizer chains.tekton.dev (Tekton Chains takes it off once it has signed the run)"
	if err == nil || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(), "run the same command again") {
		t.Fatalf("error %v lacks %q", err, want)
	}
	text, err := os.ReadFile(saved)
	if err != nil || !strings.Contains(string(text), "kind: TaskRun") || strings.Contains(string(text), "hunter2") ||
		strings.Contains(string(text), "aHVudGVyMg") {
		t.Errorf("saved (%v):\n%s", err, text)
	}
	s.Expect(true, "v1 Secret tekgate/tekgate-inventory",
		"apps/v1 Deployment tekton-pipelines/tekton-pipelines-controller")
	s.Expect(false, "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutate.tekgate.dev",
		"triggers.tekton.dev/v1beta1 EventListener default/listener")

	errOut, err = s.Uninstall("--purge", "--yes", "--timeout", "10s", "--remove-finalizers")
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	s.Expect(false, "apiextensions.k8s.io/v1 CustomResourceDefinition tasks.tekton.dev",
		"v1 Namespace tekton-pipelines", "v1 Namespace tekgate", "tekton.dev/v1 TaskRun default/build-1")
}

// What another tool installed is not Tekgate's to remove.
func TestUninstallLeavesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	objects, err := embeddedObjects()
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objects {
		if obj.GetKind() == "Namespace" || obj.GetKind() == "ConfigMap" {
			// Each line has them.
			if err := s.Client.Create(t.Context(), obj); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
		}
	}
	errOut, err := s.Uninstall("--purge", "--yes")
	if err != nil || !strings.Contains(errOut, "there is nothing to remove") {
		t.Errorf("%v\n%s", err, errOut)
	}
	s.Expect(true, "v1 Namespace tekton-pipelines", "v1 ConfigMap tekton-pipelines/feature-flags")
}

// An install that ended early left no complete inventory, or none.
func TestUninstallAfterAnInterruptedInstall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Install()
	inventory, err := installer.ReadInventory(t.Context(), s.Client)
	if err != nil {
		t.Fatal(err)
	}
	inventory.Attempted, inventory.Objects, inventory.Complete = inventory.Objects, nil, false
	if err := installer.WriteInventory(t.Context(), s.Client, inventory, inventory); err != nil {
		t.Fatal(err)
	}
	if errOut, err := s.Uninstall(); err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	s.Expect(false, "v1 Namespace tekgate", "v1 Namespace tekton-pipelines",
		"rbac.authorization.k8s.io/v1 ClusterRole tekgate-webhook")
}

// Objects stored in an older version are converted by Tekton's webhook whenever
// they are read. Where that is down a purge still gets rid of them.
func TestPurgeWithoutConversion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Install()
	const definition = "apiextensions.k8s.io/v1 CustomResourceDefinition tasks.tekton.dev"
	store := func(version int) {
		other := 1 - version
		patch := fmt.Sprintf(
			`[{"op":"replace","path":"/spec/versions/%d/storage","value":false},{"op":"replace","path":"/spec/versions/%d/storage","value":true}]`,
			other, version)
		if err := s.Client.Patch(t.Context(), clitest.ObjectOf(definition),
			client.RawPatch("application/json-patch+json", []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	// A Service without Pods, which refuses connections at once.
	s.Patch("v1 Service tekton-pipelines/tekton-pipelines-webhook",
		`{"spec":{"type":"ExternalName","externalName":"localhost","clusterIP":null,"clusterIPs":null}}`)
	store(0) // v1beta1
	time.Sleep(2 * time.Second)
	s.Create(
		"apiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata: {name: old, namespace: default}\nspec: {steps: [{name: s, image: alpine}]}\n")
	store(1)
	time.Sleep(2 * time.Second)

	errOut, err := s.Uninstall("--purge", "--yes", "--timeout", "20s")
	if err != nil || !strings.Contains(errOut, "all Task objects of users DIE; they cannot be listed: ") ||
		!strings.Contains(errOut, "Task/default/old deleted") {
		t.Fatalf("%v\n%s", err, errOut)
	}
	s.Expect(false, definition, "v1 Namespace tekgate")
}

// TestUninstallUnderFail holds that webhooks which refuse what their server cannot judge do
// not keep themselves from being uninstalled.
func TestUninstallUnderFail(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Install()
	for kind, hooks := range map[string][]string{
		"MutatingWebhookConfiguration mutate.tekgate.dev": {
			wellknown.MutateRuns, wellknown.MutateReapplied, wellknown.MutateResolved, wellknown.MutateStored,
			wellknown.MutatePods},
		"ValidatingWebhookConfiguration validate.tekgate.dev": {
			wellknown.ValidateTriggers, wellknown.ValidatePipelines, wellknown.ValidateRuns,
			wellknown.ValidatePods},
	} {
		var webhooks []string
		for _, hook := range hooks {
			webhooks = append(webhooks, `{"name":"`+hook+`","failurePolicy":"Fail"}`)
		}
		text := `{"webhooks":[` + strings.Join(webhooks, ",") + `]}`
		patch := client.RawPatch(types.StrategicMergePatchType, []byte(text))
		named := clitest.ObjectOf("admissionregistration.k8s.io/v1 " + kind)
		if err := s.Client.Patch(t.Context(), named, patch); err != nil {
			t.Fatal(err)
		}
	}
	errOut, err := s.Uninstall()
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	s.Expect(false, "apps/v1 Deployment tekgate/tekgate-webhook", "v1 Namespace tekgate",
		"admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutate.tekgate.dev",
		"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration validate.tekgate.dev")
}
