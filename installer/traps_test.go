package installer_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/base64"

	"github.com/fluxcd/pkg/ssa"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/manifests"
)

// The names of these tests say which of the forty ways in which naive
// installers fail each of them is about.

const oldKinds = `
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: tekton-pipelines}
spec: {privileged: false}
---
apiVersion: autoscaling/v2beta1
kind: HorizontalPodAutoscaler
metadata: {name: old, namespace: tekton-pipelines}
spec:
  minReplicas: 1
  maxReplicas: 5
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: tekton-pipelines-controller}
  metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 100}}]
---
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: old, namespace: tekton-pipelines}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: controller}}}
`

func TestTrap11_OldKindsAreDroppedOrConvertedAndSaid(t *testing.T) {
	t.Parallel()
	c := start(t)
	rel := mini("v1.0.0", "")(t)
	rel.Objects = append(rel.Objects, parse(t, oldKinds)...)
	plan, _ := c.install(rel, atOnce)
	notes := strings.Join(plan.Notes, "\n")
	for _, want := range []string{
		"PodSecurityPolicy/tekton-pipelines is left out",
		"HorizontalPodAutoscaler/tekton-pipelines/old is converted from autoscaling/v2beta1 to autoscaling/v2",
		"PodDisruptionBudget/tekton-pipelines/old is converted from policy/v1beta1 to policy/v1",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
	metrics := c.field("autoscaling/v2", "HorizontalPodAutoscaler", "tekton-pipelines", "old", "spec/metrics")
	want := []any{
		map[string]any{
			"type": "Resource",
			"resource": map[string]any{
				"name":   "cpu",
				"target": map[string]any{"type": "Utilization", "averageUtilization": int64(100)},
			},
		},
	}
	if !reflect.DeepEqual(metrics, want) {
		t.Errorf("metrics are %v", metrics)
	}
}

func TestTrap12_ObjectsWaitForTheirKind(t *testing.T) {
	t.Parallel()
	c := start(t)
	plan, _ := c.install(mini("v1.0.0", "")(t), atOnce)
	if c.get("tekton.dev/v1", "Task", "tekton-pipelines", "shipped") == nil {
		t.Error("the Task that came with its kind is not there")
	}
	for _, change := range plan.Changes() {
		if change.Desired.GetKind() == "Task" && change.Unchecked == "" {
			t.Error("the plan says that it checked a Task whose kind was yet to come")
		}
	}
}

// watcher notes at which stage and what was waited for.
type watcher struct {
	stages  []string
	waited  []string
	applied map[string]string
}

func (w *watcher) Stage(_, _ int, stage installer.Stage) { w.stages = append(w.stages, stage.Doc) }
func (w *watcher) Waiting(what string)                   { w.waited = append(w.waited, what) }
func (w *watcher) Changed(entry ssa.ChangeSetEntry) {
	if w.applied == nil {
		w.applied = map[string]string{}
	}
	w.applied[entry.Subject] = w.stages[len(w.stages)-1]
}

func (c *target) apply(rel installer.Release, options installer.Options, report installer.Reporter) error {
	c.t.Helper()
	options.Interval = often
	plan, err := c.plan(rel, options)
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = c.Apply(c.t.Context(), plan, options, report)
	return err
}

func TestTrap13_WaitsUntilTheAdmissionServerAnswers(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	// What the webhook does once it runs, but with nobody behind the Service.
	rules := `[{"op":"add","path":"/webhooks/0/rules","value":[{"apiGroups":["tekton.dev"],"apiVersions":["*"],"resources":["tasks"],"operations":["CREATE"]}]}]`
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for ; ctx.Err() == nil; pause() {
			configuration := object(
				"admissionregistration.k8s.io/v1",
				"ValidatingWebhookConfiguration",
				"",
				"validation.webhook.pipeline.tekton.dev",
			)
			_ = c.Client().Patch(
				ctx,
				configuration,
				client.RawPatch(types.JSONPatchType, []byte(rules)),
				client.FieldOwner("webhook"),
			)
		}
	}()
	seen := &watcher{}
	err := c.apply(mini("v1.0.0", "")(t), installer.Options{Wait: true, Timeout: 15 * time.Second}, seen)
	if err == nil || !strings.Contains(err.Error(), "still waiting for Tekton's admission server to answer") {
		t.Errorf("error %v", err)
	}
	if slices.Contains(seen.stages, "controllers") {
		t.Error("it went on all the same")
	}
	// Then it answers; here, since the configuration is gone.
	stop()
	_ = c.Client().Delete(
		t.Context(),
		object(
			"admissionregistration.k8s.io/v1",
			"ValidatingWebhookConfiguration",
			"",
			"validation.webhook.pipeline.tekton.dev",
		),
	)
	c.install(mini("v1.0.0", "")(t), installer.Options{Wait: true, Timeout: 2 * time.Minute})
}

// admission starts a webhook's server outside the cluster and has the API
// server ask it about Tekton's ConfigMaps. judge says what is wrong with one.
func (c *target) admission(judge func(*unstructured.Unstructured) string) *httptest.Server {
	c.t.Helper()
	server := reviews(func(obj *unstructured.Unstructured) *admissionv1.AdmissionResponse {
		wrong := judge(obj)
		return &admissionv1.AdmissionResponse{Allowed: wrong == "", Result: &metav1.Status{Message: wrong}}
	})
	c.t.Cleanup(server.Close)
	c.create("webhook", fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: played}
webhooks:
- name: config.webhook.pipeline.tekton.dev
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 2
  clientConfig: {url: '%s', caBundle: %s}
  objectSelector: {matchLabels: {app.kubernetes.io/part-of: tekton-pipelines}}
  rules: [{apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE, UPDATE]}]
`, server.URL, bundleOf(server)))
	return server
}

// bundleOf is the caBundle by which the API server trusts a server.
func bundleOf(server *httptest.Server) string {
	return base64.StdEncoding.EncodeToString(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	)
}

func accept(*unstructured.Unstructured) string { return "" }

func TestTrap14_NothingIsWrittenWhileTheWebhookIsDown(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "")(t), atOnce)
	c.admission(accept).Close()
	pause()
	before := c.everything(true)
	// The same webhook in both releases: upgrading does not mend it.
	rel := mini("v1.1.0", "new-flag: \"on\"", "quay.io/mini/webhook:VERSION", "quay.io/mini/webhook:v1.0.0")(t)
	_, err := c.plan(rel, atOnce)
	if err == nil || !strings.Contains(err.Error(), "ConfigMap/tekton-pipelines/feature-flags") ||
		!strings.Contains(err.Error(), "that webhook's server does not answer") {
		t.Errorf("error %v", err)
	}
	if changed := unlike(before, c.everything(true)); len(changed) > 0 {
		t.Errorf("it wrote %v", changed)
	}
	// A release that brings another webhook may be what mends it.
	if _, err := c.plan(mini("v1.1.0", "new-flag: \"on\"")(t), atOnce); err != nil {
		t.Errorf("an upgrade that replaces the webhook: %v", err)
	}
}

func TestTrap15_ChangedConfigMapsWaitForTheNewWebhook(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	options := installer.Options{Wait: true, Timeout: 2 * time.Minute}
	c.install(mini("v1.0.0", "")(t), options)
	c.admission(func(configMap *unstructured.Unstructured) string {
		data, _, _ := unstructured.NestedStringMap(configMap.Object, "data")
		// An old webhook refuses what it does not know.
		if _, has := data["new-flag"]; has && !c.runs("tekton-pipelines-webhook", "v1.1.0") {
			return "unknown flag new-flag"
		}
		return ""
	})
	pause()
	seen := &watcher{}
	rel := mini("v1.1.0", "new-flag: \"on\"")(t)
	rel.Objects = append(
		rel.Objects,
		parse(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-new, namespace: tekton-pipelines}\n")...)
	if err := c.apply(rel, options, seen); err != nil {
		t.Fatal(err)
	}
	order := []string{
		seen.applied["ConfigMap/tekton-pipelines/config-new"],
		seen.applied["Deployment/tekton-pipelines/tekton-pipelines-webhook"],
		seen.applied["ConfigMap/tekton-pipelines/feature-flags"],
		seen.applied["Deployment/tekton-pipelines/tekton-pipelines-controller"],
	}
	want := []string{
		"permissions, services and new configuration",
		"Tekton's admission servers",
		"changed configuration",
		"controllers",
	}
	if !reflect.DeepEqual(order, want) {
		t.Errorf("applied in stages %q", order)
	}
	if c.data("tekton-pipelines", "feature-flags")["new-flag"] != "on" {
		t.Error("the new flag is not there")
	}
}

// runs reports whether a Deployment was rolled out with this version.
func (c *target) runs(deployment, version string) bool {
	obj := object("apps/v1", "Deployment", "tekton-pipelines", deployment)
	if c.Client().Get(context.Background(), client.ObjectKeyFromObject(obj), obj) != nil {
		return false
	}
	observed, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	text, _ := json.Marshal(obj.Object["spec"])
	return observed == obj.GetGeneration() && strings.Contains(string(text), ":"+version)
}

func TestTrap16_ApplyingAgainKeepsRulesBundlesAndCertificates(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "")(t), atOnce)
	const configuration = "validation.webhook.pipeline.tekton.dev"
	err := c.Client().Patch(
		t.Context(),
		object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", configuration),
		client.RawPatch(types.JSONPatchType, []byte(`[
		{"op":"add","path":"/webhooks/0/rules","value":[{"apiGroups":["tekton.dev"],"apiVersions":["v1"],"resources":["nothing"],"operations":["CREATE"]}]},
		{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"Cg=="}]`)),
		client.FieldOwner("webhook"),
	)
	if err != nil {
		t.Fatal(err)
	}
	c.merge("webhook", "v1", "Secret", "tekton-pipelines", "webhook-certs", `{"data":{"ca-cert.pem":"Cg=="}}`)
	before := c.field(
		"admissionregistration.k8s.io/v1",
		"ValidatingWebhookConfiguration",
		"",
		configuration,
		"webhooks",
	)
	c.install(mini("v1.1.0", "")(t), atOnce)
	after := c.field("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", configuration, "webhooks")
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the webhooks became %v", after)
	}
	certs := c.field("v1", "Secret", "tekton-pipelines", "webhook-certs", "data")
	if !reflect.DeepEqual(certs, map[string]any{"ca-cert.pem": "Cg=="}) {
		t.Errorf("the certificates became %v", certs)
	}
}

func TestTrap17_StaleFieldsOfEarlierAppliersGoAndEditsStay(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, obj := range mini("v1.0.0", "disable-affinity-assistant: \"false\", enable-x: \"false\"")(t).Objects {
		applyLikeKubectl(c, obj)
	}
	c.edit("feature-flags", `{"enable-x":"true","enable-api-fields":"alpha"}`)
	plan, _ := c.install(mini("v1.1.0", "enable-x: \"false\"")(t), atOnce)
	want := map[string]string{"enable-api-fields": "alpha", "enable-x": "true"}
	if got := c.data("tekton-pipelines", "feature-flags"); !reflect.DeepEqual(got, want) {
		t.Errorf("the flags are %v, want %v", got, want)
	}
	outcomes := map[string]string{}
	for _, m := range plan.Merges {
		outcomes[m.Key] = m.Outcome
	}
	want = map[string]string{
		"enable-api-fields": "kept", "enable-x": "kept", "disable-affinity-assistant": "removed", "version": "changed",
	}
	if !reflect.DeepEqual(outcomes, want) {
		t.Errorf("said %v, want %v", outcomes, want)
	}
}

func TestTrap18_EditedKeysAreKeptAndOthersFollowTheRelease(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "a: \"1\", b: \"1\", gone: \"1\", gone-edited: \"1\", deleted: \"1\"")(t), atOnce)
	c.edit("feature-flags", `{"a":"mine","gone-edited":"mine","deleted":null,"own":"mine"}`)
	plan, _ := c.install(mini("v1.1.0", "a: \"2\", b: \"2\", deleted: \"2\", fresh: \"2\"")(t), atOnce)
	want := map[string]string{
		"enable-api-fields": "beta",
		"a":                 "mine",
		"b":                 "2",
		"gone-edited":       "mine",
		"own":               "mine",
		"fresh":             "2",
	}
	if got := c.data("tekton-pipelines", "feature-flags"); !reflect.DeepEqual(got, want) {
		t.Errorf("the flags are %v, want %v", got, want)
	}
	outcomes := map[string]string{}
	for _, m := range plan.Merges {
		if m.ConfigMap == "tekton-pipelines/feature-flags" {
			outcomes[m.Key] = m.Outcome
		}
	}
	want = map[string]string{
		"a": "kept", "b": "changed", "gone": "removed", "gone-edited": "kept", "deleted": "kept", "own": "kept",
	}
	if !reflect.DeepEqual(outcomes, want) {
		t.Errorf("said %v, want %v", outcomes, want)
	}
	// And again in the upgrade after, though Tekgate owns them too by then.
	c.install(mini("v1.2.0", "a: \"3\", b: \"3\"")(t), atOnce)
	if got := c.data("tekton-pipelines", "feature-flags"); got["a"] != "mine" || got["own"] != "mine" ||
		got["b"] != "3" ||
		got["fresh"] != "" {
		t.Errorf("the flags are then %v", got)
	}
}

func TestTrap19_AutoscaledReplicasStay(t *testing.T) {
	t.Parallel()
	c := start(t)
	withReplicas := func(n string) []string {
		return []string{
			"spec:\n  selector: {matchLabels: {app: webhook}}",
			"spec:\n  replicas: " + n + "\n  selector: {matchLabels: {app: webhook}}",
		}
	}
	replicas := func() any {
		return c.field("apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-webhook", "spec/replicas")
	}
	// Somebody without a notion of autoscalers applied it, and owns the number.
	for _, obj := range mini("v1.0.0", "", withReplicas("1")...)(t).Objects {
		applyLikeKubectl(c, obj)
	}
	c.merge(
		"kubectl-client-side-apply",
		"apps/v1",
		"Deployment",
		"tekton-pipelines",
		"tekton-pipelines-webhook",
		`{"spec":{"replicas":3}}`,
	)
	c.install(mini("v1.1.0", "")(t), atOnce)
	if got := replicas(); got != int64(3) {
		t.Errorf("taking over made %v replicas of 3", got)
	}
	c.merge(
		"kube-controller-manager",
		"apps/v1",
		"Deployment",
		"tekton-pipelines",
		"tekton-pipelines-webhook",
		`{"spec":{"replicas":4}}`,
	)
	c.install(mini("v1.2.0", "", withReplicas("1")...)(t), atOnce)
	c.install(mini("v1.3.0", "")(t), atOnce)
	if got := replicas(); got != int64(4) {
		t.Errorf("upgrading made %v replicas of 4", got)
	}
}

// editor changes a ConfigMap when a stage begins.
type editor struct {
	silent
	at   string
	edit func()
}

func (e editor) Stage(_, _ int, stage installer.Stage) {
	if stage.Doc == e.at {
		e.edit()
	}
}

func TestTrap18_EditsDuringAnUpgradeAreKept(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "a: \"1\"")(t), atOnce)
	err := c.apply(
		mini("v1.1.0", "a: \"2\", b: \"2\"")(t),
		atOnce,
		editor{at: "Tekton's admission servers", edit: func() { c.edit("feature-flags", `{"a":"mine"}`) }},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.data("tekton-pipelines", "feature-flags"); got["a"] != "mine" || got["b"] != "2" {
		t.Errorf("the flags are %v", got)
	}
}

func TestTrap20_ImmutableSelectorsAreFoundBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "")(t), atOnce)
	before := c.everything(true)
	other := mini("v1.1.0", "", "app: controller", "app: other")
	_, err := c.plan(other(t), atOnce)
	if err == nil || !strings.Contains(err.Error(), "Deployment/tekton-pipelines/tekton-pipelines-controller") ||
		!strings.Contains(err.Error(), "pass --force") {
		t.Errorf("error %v", err)
	}
	if changed := unlike(before, c.everything(true)); len(changed) > 0 {
		t.Errorf("it wrote %v", changed)
	}
	plan, _ := c.install(other(t), installer.Options{Force: true, Timeout: time.Minute})
	if got := c.field("apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-controller", "spec/selector/matchLabels/app"); got != "other" {
		t.Errorf("with --force the selector is %v", got)
	}
	if !strings.Contains(strings.Join(plan.Notes, ""), "is deleted and made anew") {
		t.Errorf("it is not said: %v", plan.Notes)
	}
}

func TestTrap20_ARoleBindingThatNamesAnotherRoleIsMadeAnew(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "")(t), atOnce)
	plan, _ := c.install(
		mini("v1.1.0", "", "kind: ClusterRole, name: view", "kind: ClusterRole, name: edit")(t),
		atOnce,
	)
	if got := c.field("rbac.authorization.k8s.io/v1", "RoleBinding", "tekton-pipelines", "webhook", "roleRef/name"); got != "edit" {
		t.Errorf("it names %v", got)
	}
	if !strings.Contains(
		strings.Join(plan.Notes, ""),
		"RoleBinding/tekton-pipelines/webhook is deleted and made anew",
	) {
		t.Errorf("it is not said: %v", plan.Notes)
	}
}

func TestTrap21_NoCopiesInAnnotationsAndASmallInventory(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(embedded(t), atOnce)
	// The largest inventory is that of an unfinished upgrade.
	plan, err := c.plan(assembled(t, "v1.9.6", "v0.34.0"), installer.Options{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, _ = c.Apply(ctx, plan, installer.Options{Timeout: time.Second}, &interrupter{left: 10, cancel: cancel})
	inventory, err := installer.ReadInventory(t.Context(), c.Client())
	if err != nil || inventory.Complete || len(inventory.Attempted) == 0 {
		t.Fatalf("no unfinished inventory: %v", err)
	}
	encoded := fmt.Sprint(c.field("v1", "Secret", "tekgate", installer.InventoryName, "data/inventory.json.gz"))
	if size := base64.StdEncoding.DecodedLen(len(encoded)); size > 512<<10 {
		t.Errorf("the inventory has %d bytes of the 1048576 that a Secret holds", size)
	} else {
		t.Logf("the inventory has %d bytes", size)
	}
	for _, obj := range embedded(t).Objects {
		live := c.get(obj.GetAPIVersion(), obj.GetKind(), obj.GetNamespace(), obj.GetName())
		if live != nil && len(live.GetAnnotations()) > len(obj.GetAnnotations())+1 {
			t.Errorf("%s %s has annotations of its own: %v", obj.GetKind(), obj.GetName(), live.GetAnnotations())
		}
	}
}

func TestTrap22_DefinitionsAndNamespacesAreNeverPruned(t *testing.T) {
	t.Parallel()
	c := start(t)
	rel := mini("v1.0.0", "")(t)
	rel.Objects = append(rel.Objects, parse(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clustertasks.tekton.dev}
spec:
  group: tekton.dev
  names: {kind: ClusterTask, plural: clustertasks, singular: clustertask}
  scope: Cluster
  versions: [{name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: v1
kind: Namespace
metadata: {name: tekton-other}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-artifact-pvc, namespace: tekton-pipelines}
`)...)
	c.install(rel, atOnce)
	c.create("kubectl-create", "apiVersion: tekton.dev/v1beta1\nkind: ClusterTask\nmetadata: {name: mine}\n")
	plan, done := c.install(mini("v1.1.0", "")(t), atOnce)
	if c.get("tekton.dev/v1beta1", "ClusterTask", "", "mine") == nil ||
		c.get("v1", "Namespace", "", "tekton-other") == nil {
		t.Error("the user's ClusterTask or the namespace is gone")
	}
	if c.get("v1", "ConfigMap", "tekton-pipelines", "config-artifact-pvc") != nil {
		t.Error("the orphan is still there")
	}
	got := done.ToGroupedMap()[ssa.DeletedAction]
	if !reflect.DeepEqual(got, []string{"ConfigMap/tekton-pipelines/config-artifact-pvc"}) {
		t.Errorf("deleted %v", got)
	}
	if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(
		notes,
		"clustertasks.tekton.dev is no part of this release and stays",
	) {
		t.Errorf("notes %s", notes)
	}
}

const twoVersions = `
  - {name: v1beta1, served: true, storage: STORED, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - {name: v1, served: true, storage: OTHER, schema`

func TestTrap23_StoredVersionsAreMigratedBeforeTheyAreDropped(t *testing.T) {
	t.Parallel()
	c := start(t)
	const single = "\n  - {name: v1, served: true, storage: true, schema"
	versions := func(stored, other string) []string {
		return []string{
			single,
			strings.NewReplacer("STORED", stored, "OTHER", other).Replace(twoVersions),
			"tekton.dev/v1\nkind: Task",
			"tekton.dev/v1beta1\nkind: Task",
		}
	}
	c.install(mini("v1.0.0", "", versions("true", "false")...)(t), atOnce)
	for i := range 3 {
		c.create(
			"kubectl-create",
			fmt.Sprintf(
				"apiVersion: tekton.dev/v1beta1\nkind: Task\nmetadata: {name: mine-%d, namespace: default}\nspec: {steps: []}\n",
				i,
			),
		)
	}
	stored := func() any {
		return c.field(
			"apiextensions.k8s.io/v1",
			"CustomResourceDefinition",
			"",
			"tasks.tekton.dev",
			"status/storedVersions",
		)
	}
	// Straight to a release without the version that is written: no way.
	if _, err := c.plan(mini("v1.2.0", "")(t), atOnce); err == nil ||
		!strings.Contains(err.Error(), "stores its objects as v1beta1") {
		t.Errorf("error %v", err)
	}
	c.install(mini("v1.1.0", "", versions("false", "true")...)(t), atOnce)
	if got := stored(); !reflect.DeepEqual(got, []any{"v1beta1", "v1"}) {
		t.Fatalf("stored versions are %v", got)
	}
	c.install(mini("v1.2.0", "")(t), atOnce)
	if got := stored(); !reflect.DeepEqual(got, []any{"v1"}) {
		t.Errorf("stored versions are then %v", got)
	}
	if c.get("tekton.dev/v1", "Task", "default", "mine-2") == nil {
		t.Error("a Task is gone")
	}
}

func TestTrap27_OwnConfigMapsAreNotTektons(t *testing.T) {
	for _, obj := range embedded(t).Objects {
		if obj.GetNamespace() == installer.Namespace &&
			obj.GetLabels()["app.kubernetes.io/part-of"] == "tekton-pipelines" {
			t.Errorf("%s %s would be judged by Tekton's webhook", obj.GetKind(), obj.GetName())
		}
	}
}

func TestTrap34_AnotherOwnerIsRefusedByName(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "")(t), atOnce)
	deployment := func(manager, patch string) {
		c.merge(manager, "apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-controller", patch)
	}
	clean := `{"metadata":{"labels":null,"annotations":null,"ownerReferences":null}}`
	tests := []struct{ name, manager, patch, want string }{
		{
			"operator",
			"test",
			`{"metadata":{"ownerReferences":[{"apiVersion":"operator.tekton.dev/v1alpha1","kind":"TektonInstallerSet","name":"pipeline-main","uid":"1"}]}}`,
			"tektoncd/operator (TektonInstallerSet pipeline-main) owns Deployment/tekton-pipelines/tekton-pipelines-controller",
		},
		{
			"OLM",
			"test",
			`{"metadata":{"labels":{"olm.owner":"tekton.v1"}}}`,
			"the Operator Lifecycle Manager (tekton.v1) owns",
		},
		{"Helm", "test", `{"metadata":{"annotations":{"meta.helm.sh/release-name":"tekton"}}}`, "Helm (tekton) owns"},
		{
			"Argo CD",
			"test",
			`{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"ci:apps/Deployment:x"}}}`,
			"Argo CD (ci:apps/Deployment:x) owns",
		},
		{"Flux", "test", `{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"infra"}}}`, "Flux (infra) owns"},
		{"Argo CD by its field manager", "argocd-controller", `{"metadata":{"annotations":{"x":"y"}}}`, "Argo CD owns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			deployment(tt.manager, tt.patch)
			_, err := c.plan(mini("v1.1.0", "")(t), atOnce)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "--force") {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
			if plan, err := c.plan(mini("v1.1.0", "")(t), installer.Options{Force: true}); err != nil ||
				len(plan.Findings) == 0 {
				t.Errorf("with --force: error %v", err)
			}
			deployment(tt.manager, clean)
		})
	}
}

const failingPod = `
apiVersion: v1
kind: Pod
metadata: {name: tekton-pipelines-webhook-abc, namespace: tekton-pipelines, labels: {app: webhook}}
spec: {containers: [{name: webhook, image: '%s'}]}
`

func TestTrap40_APullThatFailsEndsTheWait(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node("tekton-pipelines-webhook")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	image := mirrorHost + "/tekton/webhook:v1.0.0"
	go func() { // the kubelet
		pod := parse(t, fmt.Sprintf(failingPod, image))[0]
		for ; ctx.Err() == nil; pause() {
			if c.Client().Create(ctx, pod.DeepCopy()) != nil {
				continue
			}
			status := `{"status":{"containerStatuses":[{"name":"webhook","image":"i","imageID":"","ready":false,"restartCount":0,"state":{"waiting":{"reason":"ErrImagePull","message":"manifest unknown"}}}]}}`
			if c.Client().Status().Patch(
				ctx,
				pod.DeepCopy(),
				client.RawPatch(types.MergePatchType, []byte(status)),
			) == nil {
				return
			}
		}
	}()
	began := time.Now()
	err := c.apply(mini("v1.0.0", "")(t), installer.Options{Wait: true, Timeout: 10 * time.Second}, silent{})
	for _, want := range []string{"Pod/tekton-pipelines/tekton-pipelines-webhook-abc cannot pull image " + image, "ErrImagePull: manifest unknown", "registry " + mirrorHost, "quay.io/mini/webhook:v1.0.0", "run the same command again"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if time.Since(began) > 9*time.Second {
		t.Error("it waited for the time-out all the same")
	}
}

func TestTrap24_BothNamespacesComeFirstAndOwnPodsAreRestricted(t *testing.T) {
	t.Parallel()
	c := start(t)
	plan, err := c.plan(embedded(t), atOnce)
	if err != nil {
		t.Fatal(err)
	}
	var first []string
	for _, obj := range plan.Stages[0].Objects {
		first = append(first, obj.GetKind()+" "+obj.GetName())
	}
	slices.Sort(first)
	want := []string{
		"Namespace tekgate", "Namespace tekgate-deliveries", "Namespace tekton-pipelines",
		"Namespace tekton-pipelines-resolvers",
	}
	if !slices.Equal(first, want) {
		t.Errorf("the first stage is %v", first)
	}
	for _, obj := range embedded(t).Objects {
		if obj.GetKind() != "Deployment" || obj.GetNamespace() != installer.Namespace {
			continue
		}
		// The server itself says what its restricted profile thinks of a Pod.
		spec, _, _ := unstructured.NestedMap(obj.Object, "spec", "template", "spec")
		delete(spec, "serviceAccountName")
		c.merge(
			"test",
			"v1",
			"Namespace",
			"",
			"default",
			`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`,
		)
		pod := object("v1", "Pod", "default", obj.GetName())
		pod.Object["spec"] = spec
		if err := c.Client().Create(t.Context(), pod, client.DryRunAll); err != nil &&
			!strings.Contains(err.Error(), "serviceaccount") {
			t.Errorf("%s: %v", obj.GetName(), err)
		}
	}
}

func TestTrap32_FlagsAreNeitherAddedNorBlanked(t *testing.T) {
	flags := func(objs []*unstructured.Unstructured) map[string]int {
		count := map[string]int{}
		for _, obj := range objs {
			containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
			for _, container := range containers {
				args, _, _ := unstructured.NestedStringSlice(container.(map[string]any), "args")
				for i, arg := range args {
					if arg == "" {
						t.Errorf("%s: argument %d is empty", obj.GetName(), i)
					}
					if strings.HasPrefix(arg, "-") {
						count[obj.GetName()+" "+arg]++
					}
				}
			}
		}
		return count
	}
	rel, err := manifests.Tekton("pipeline")
	if err != nil {
		t.Fatal(err)
	}
	before := flags(rel.Objects)
	if after := flags(rendered(t, rel.Objects).Objects); len(before) < 6 || !reflect.DeepEqual(before, after) {
		t.Errorf("flags %v became %v", before, after)
	}
}

// Triggers looks only once a minute for ClusterInterceptors without a CA, and once when
// their server starts: they have to be there before it.
func TestInterceptorsComeBeforeTheirServer(t *testing.T) {
	t.Parallel()
	plan, err := start(t).plan(embedded(t), atOnce)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, stage := range plan.Stages {
		for _, obj := range stage.Objects {
			at[obj.GetKind()+" "+obj.GetName()] = i + 1
		}
	}
	interceptor, server, admission := at["ClusterInterceptor cel"], at["Deployment tekton-triggers-core-interceptors"], at["Deployment tekton-triggers-webhook"]
	if admission == 0 || admission >= interceptor || interceptor >= server {
		t.Errorf(
			"the admission server comes in stage %d, interceptors in %d, their server in %d",
			admission,
			interceptor,
			server,
		)
	}
}
