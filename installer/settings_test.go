package installer_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/settings"
	"github.com/tekgate/tekgate/internal/declared"
	"github.com/tekgate/tekgate/internal/strict"
)

// with returns the embedded release with declared settings.
func with(t *testing.T, text string) installer.Release {
	t.Helper()
	return declare(t, embedded(t), text)
}

func declare(t *testing.T, rel installer.Release, text string) installer.Release {
	t.Helper()
	var s declared.Settings
	if err := strict.UnmarshalYAML([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	applied, err := settings.Apply(rel.Objects, s)
	if err != nil {
		t.Fatal(err)
	}
	rel.Declared = installer.Declared{Keys: applied.Keys, Replicas: applied.Replicas}
	return rel
}

// written returns the objects that an install created or configured.
func written(done *ssa.ChangeSet) []string {
	var names []string
	for _, entry := range done.Entries {
		if entry.Action != ssa.UnchangedAction {
			names = append(names, entry.Subject)
		}
	}
	slices.Sort(names)
	return names
}

// Settings are applied once, changed one by one, and taken back when they are no longer
// declared; what the user edits elsewhere in the same ConfigMap is kept all along.
func TestDeclaredSettings(t *testing.T) {
	t.Parallel()
	c := start(t)
	const first = `
featureFlags: {enable-api-fields: alpha, max-result-size: 8192}
defaults: {default-timeout-minutes: 120}
deployments:
  tekton-pipelines-controller: {replicas: 3, nodeSelector: {pool: tools}, priorityClassName: tools}
`
	flags := func() map[string]string { return c.data("tekton-pipelines", "feature-flags") }
	controller := func(path string) any {
		return c.field("apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-controller", path)
	}
	c.install(with(t, first), atOnce)
	if got := flags(); got["enable-api-fields"] != "alpha" || got["max-result-size"] != "8192" {
		t.Errorf("after the first install the flags are %v", got)
	}
	if n := controller("spec/replicas"); n != int64(3) {
		t.Errorf("the controller has %v replicas", n)
	}
	_, done := c.install(with(t, first), atOnce)
	if got := written(done); len(got) > 0 {
		t.Errorf("the second install wrote %v", got)
	}

	// The user edits a key that is not declared.
	c.edit("feature-flags", `{"coschedule":"disabled"}`)
	second := strings.Replace(first, "alpha", "stable", 1)
	_, done = c.install(with(t, second), atOnce)
	if got := written(done); !slices.Equal(got, []string{"ConfigMap/tekton-pipelines/feature-flags"}) {
		t.Errorf("one changed setting wrote %v", got)
	}
	if got := flags(); got["enable-api-fields"] != "stable" || got["coschedule"] != "disabled" {
		t.Errorf("after the change the flags are %v", got)
	}
	_, done = c.install(with(t, strings.Replace(second, "replicas: 3", "replicas: 2", 1)), atOnce)
	if got := written(done); !slices.Equal(got, []string{"Deployment/tekton-pipelines/tekton-pipelines-controller"}) {
		t.Errorf("other replicas wrote %v", got)
	}

	// Without settings the release's values return.
	c.install(embedded(t), atOnce)
	got := flags()
	if _, has := got["max-result-size"]; has || got["enable-api-fields"] != "beta" || got["coschedule"] != "disabled" {
		t.Errorf("after the settings are removed the flags are %v", got)
	}
	if _, has := c.data("tekton-pipelines", "config-defaults")["default-timeout-minutes"]; has {
		t.Error("default-timeout-minutes stays")
	}
	if n, selector := controller("spec/replicas"), controller("spec/template/spec/nodeSelector"); n != int64(1) ||
		selector != nil || controller("spec/template/spec/priorityClassName") != nil {
		t.Errorf("the controller has %v replicas and the nodeSelector %v", n, selector)
	}
}

// A declared value wins over what the user edited, before the first install that declares
// it and after, and the plan says so.
func TestDeclaredWinsOverEdits(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "a: \"1\", b: \"1\"")(t), atOnce)
	c.edit("feature-flags", `{"enable-api-fields":"alpha","a":"2"}`)
	rel := func() installer.Release {
		rel := mini("v1.0.0", "a: \"1\", b: \"1\"")(t)
		return declare(t, rel, `featureFlags: {enable-api-fields: stable, b: "3"}`)
	}
	for round := range 2 {
		plan, _ := c.install(rel(), atOnce)
		outcomes := map[string]string{}
		for _, m := range plan.Merges {
			outcomes[m.Key] = m.Outcome
			if m.Key == "enable-api-fields" && (*m.Value != "stable" || *m.Other != "alpha") {
				t.Errorf("round %d: %s becomes %q from %q", round, m.Key, *m.Value, *m.Other)
			}
		}
		want := map[string]string{"enable-api-fields": installer.KeyDeclared, "a": installer.KeyKept}
		if round == 0 {
			want["b"] = installer.KeyChanged
		}
		if !maps.Equal(outcomes, want) {
			t.Errorf("round %d: the merges are %v, want %v", round, outcomes, want)
		}
		if got := c.data("tekton-pipelines", "feature-flags"); got["enable-api-fields"] != "stable" || got["a"] != "2" ||
			got["b"] != "3" {
			t.Errorf("round %d: the flags are %v", round, got)
		}
		c.edit("feature-flags", `{"enable-api-fields":"alpha"}`)
	}
}

// Edits between the plan and the write are overruled, too.
func TestDeclaredWinsOverLateEdits(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "a: \"1\"")(t), atOnce)
	rel := declare(t, mini("v1.0.0", "a: \"1\"")(t), `featureFlags: {enable-api-fields: stable}`)
	plan, err := c.plan(rel, atOnce)
	if err != nil {
		t.Fatal(err)
	}
	c.edit("feature-flags", `{"enable-api-fields":"alpha","a":"2"}`)
	if _, err := c.Apply(t.Context(), plan, atOnce, silent{}); err != nil {
		t.Fatal(err)
	}
	if got := c.data("tekton-pipelines", "feature-flags"); got["enable-api-fields"] != "stable" || got["a"] != "2" {
		t.Errorf("the flags are %v", got)
	}
}

// Where the cluster's own autoscaler sizes a Deployment, the declared replicas are reported.
func TestDeclaredReplicasOfAnAutoscaledDeployment(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.install(mini("v1.0.0", "")(t), atOnce)
	c.create("user", `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: mine, namespace: tekton-pipelines}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: tekton-pipelines-controller}
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 100}}}]
`)
	rel := declare(t, mini("v1.0.0", "")(t), "deployments: {tekton-pipelines-controller: {replicas: 3}}")
	plan, _ := c.install(rel, atOnce)
	if !slices.ContainsFunc(plan.Findings, func(f installer.Finding) bool {
		return f.Category == "settings" && !f.Fatal && strings.Contains(f.Remedy, "minReplicas")
	}) {
		t.Errorf("the findings are %v", plan.Findings)
	}
	replicas := c.field("apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-controller", "spec/replicas")
	if replicas != int64(1) {
		t.Errorf("the controller has %v replicas", replicas)
	}
}

// everySection declares a value of each section.
const everySection = `
featureFlags: {enable-api-fields: alpha, coschedule: pipelineruns, results-from: sidecar-logs, max-result-size: 8192}
defaults:
  default-timeout-minutes: 120
  default-pod-template: |
    nodeSelector: {disk: ssd}
metrics: {metrics.taskrun.level: namespace, metrics-protocol: none}
events: {sink: "https://events.example.com"}
tracing: {enabled: false, endpoint: "http://jaeger.example.com/v1/traces"}
leaderElection: {buckets: 3, lease-duration: 30s, renew-deadline: 20s, retry-period: 5s}
logging: {loglevel.controller: warn, loglevel.webhook: debug}
configMaps:
  config-defaults-triggers: {default-service-account: robot}
  feature-flags-triggers: {labels-exclusion-pattern: "^internal/"}
  git-resolver-config: {fetch-timeout: 2m}
`

// Tekton's own admission server takes the ConfigMaps that settings lead to.
func TestTektonTakesDeclaredSettings(t *testing.T) {
	t.Parallel()
	real := cluster.StartEmpty(t)
	tekton.Start(t, real, tekton.Options{})
	c := connectTo(t, real.Config)
	// Only these: the Service of the webhook leads to a process outside the cluster.
	configMaps := func() installer.Release {
		rel := embedded(t)
		rel.Objects = slices.DeleteFunc(rel.Objects, func(obj *unstructured.Unstructured) bool {
			return obj.GetKind() != "ConfigMap" || obj.GetNamespace() == installer.Namespace
		})
		return rel
	}
	c.install(declare(t, configMaps(), everySection), atOnce)
	if got := c.data("tekton-pipelines", "config-defaults"); got["default-timeout-minutes"] != "120" {
		t.Errorf("config-defaults is %v", got)
	}
	_, done := c.install(declare(t, configMaps(), everySection), atOnce)
	if got := written(done); len(got) > 0 {
		t.Errorf("the second install wrote %v", got)
	}
	wrong := configMaps()
	for _, obj := range wrong.Objects {
		if obj.GetName() == "feature-flags" {
			_ = unstructured.SetNestedField(obj.Object, "gamma", "data", "enable-api-fields")
		}
	}
	_, err := c.plan(wrong, atOnce)
	if err == nil || !strings.Contains(err.Error(), `"config.webhook.pipeline.tekton.dev" denied`) {
		t.Errorf("Tekton's admission server does not judge ConfigMaps here: error %v", err)
	}
}
