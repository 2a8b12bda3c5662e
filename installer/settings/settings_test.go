package settings_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/settings"
	"github.com/tekgate/tekgate/internal/declared"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/manifests"
)

// release returns the objects of the embedded release.
func release(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, name := range []string{"pipeline", "triggers", "triggers-interceptors"} {
		r, err := manifests.Tekton(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Objects...)
	}
	return all
}

func parse(t *testing.T, text string) declared.Settings {
	t.Helper()
	var s declared.Settings
	if err := strict.UnmarshalYAML([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func named(t *testing.T, objects []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	t.Helper()
	for _, obj := range objects {
		if kube.Name(obj) == name {
			return obj
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

func TestValues(t *testing.T) {
	for name, tt := range map[string]struct{ settings, configMap, key, want string }{
		"a string":                {`featureFlags: {enable-api-fields: alpha}`, "tekton-pipelines/feature-flags", "enable-api-fields", "alpha"},
		"a boolean":               {`featureFlags: {set-security-context: true}`, "tekton-pipelines/feature-flags", "set-security-context", "true"},
		"a number":                {`defaults: {default-timeout-minutes: 120}`, "tekton-pipelines/config-defaults", "default-timeout-minutes", "120"},
		"only the parser's":       {`featureFlags: {max-result-size: 8192}`, "tekton-pipelines/feature-flags", "max-result-size", "8192"},
		"only the release's":      {`featureFlags: {enable-informer-cache-transforms: false}`, "tekton-pipelines/feature-flags", "enable-informer-cache-transforms", "false"},
		"only documented":         {"defaults: {default-imagepullbackoff-timeout: 5m}", "tekton-pipelines/config-defaults", "default-imagepullbackoff-timeout", "5m"},
		"text":                    {"defaults:\n  default-pod-template: |\n    nodeSelector: {disk: ssd}\n", "tekton-pipelines/config-defaults", "default-pod-template", "nodeSelector: {disk: ssd}\n"},
		"metrics":                 {`metrics: {metrics.taskrun.level: namespace}`, "tekton-pipelines/config-observability", "metrics.taskrun.level", "namespace"},
		"metrics, everywhere":     {`metrics: {metrics-protocol: none}`, "tekton-pipelines-resolvers/config-observability", "metrics-protocol", "none"},
		"metrics of Triggers":     {`metrics: {metrics-protocol: none}`, "tekton-pipelines/config-observability-triggers", "metrics-protocol", "none"},
		"leader election":         {`leaderElection: {buckets: 3}`, "tekton-pipelines-resolvers/config-leader-election-resolvers", "buckets", "3"},
		"logging":                 {`logging: {loglevel.webhook: debug}`, "tekton-pipelines/config-logging-triggers", "loglevel.webhook", "debug"},
		"logging of one":          {`logging: {loglevel.eventlistener: debug}`, "tekton-pipelines/config-logging-triggers", "loglevel.eventlistener", "debug"},
		"events":                  {`events: {sink: "https://events.example.com"}`, "tekton-pipelines/config-events", "sink", "https://events.example.com"},
		"tracing":                 {`tracing: {enabled: true}`, "tekton-pipelines/config-tracing", "enabled", "true"},
		"another ConfigMap":       {`configMaps: {git-resolver-config: {fetch-timeout: 2m}}`, "tekton-pipelines-resolvers/git-resolver-config", "fetch-timeout", "2m"},
		"one of two":              {`configMaps: {tekton-pipelines-resolvers/config-logging: {loglevel.controller: error}}`, "tekton-pipelines-resolvers/config-logging", "loglevel.controller", "error"},
		"the last wins":           {"metrics: {metrics-protocol: none}\nconfigMaps: {config-observability-triggers: {metrics-protocol: prometheus}}", "tekton-pipelines/config-observability-triggers", "metrics-protocol", "prometheus"},
		"values that go together": {`leaderElection: {lease-duration: 20s, renew-deadline: 15s, retry-period: 3s}`, "tekton-pipelines/config-leader-election-controller", "lease-duration", "20s"},
		"of Triggers":             {`configMaps: {feature-flags-triggers: {enable-api-fields: alpha}}`, "tekton-pipelines/feature-flags-triggers", "enable-api-fields", "alpha"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := release(t)
			target := named(t, objects, "ConfigMap/"+tt.configMap)
			example := installer.ConfigData(target)[declared.Example]
			applied, err := settings.Apply(objects, parse(t, tt.settings))
			if err != nil {
				t.Fatal(err)
			}
			data := installer.ConfigData(target)
			if data[tt.key] != tt.want {
				t.Errorf("%s is %q, want %q", tt.key, data[tt.key], tt.want)
			}
			if !slices.Contains(applied.Keys[kube.Identity(target)], tt.key) {
				t.Errorf("the declared keys are %v", applied.Keys)
			}
			if data[declared.Example] != example {
				t.Error("the documentation was changed")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for settingsText, want := range map[string]string{
		`featureFlags: {enable-api-field: beta}`:                               `tekton.featureFlags.enable-api-field: Tekton does not know this key in ConfigMap/tekton-pipelines/feature-flags: did you mean "enable-api-fields"?`,
		`featureFlags: {enable-api-fields: gamma}`:                             `tekton.featureFlags.enable-api-fields: "gamma" means nothing to Tekton: invalid value for feature flag`,
		`featureFlags: {set-security-context: maybe}`:                          `"maybe" means nothing to Tekton`,
		`featureFlags: {disable-inline-spec: "tasks"}`:                         "it must be a list of pipeline, pipelinerun, taskrun",
		`featureFlags: {enable-informer-cache-transforms: 7s}`:                 `it must be true or false, as the release's "true" is`,
		`featureFlags: {zzz: 1}`:                                               "the keys are await-sidecar-readiness, coschedule",
		`defaults: {default-timeout-minutes: soon}`:                            "it must be a whole number of at least 0",
		`defaults: {default-timeout-minutes: -5}`:                              "it must be a whole number of at least 0",
		`defaults: {default-time-out-minutes: 5}`:                              `did you mean "default-timeout-minutes"?`,
		"defaults: {default-pod-template: 'nodeSelektor: {a: b}'}":             `unknown field "nodeSelektor"`,
		`metrics: {metrics.taskrun.level: node}`:                               `"node" means nothing to Tekton: it must be one of "taskrun", "task", "namespace"`,
		`metrics: {metrics-protocol: opencensus}`:                              `"opencensus" means nothing to Tekton`,
		`metrics: {metrics.taskrun.levels: task}`:                              `did you mean "metrics.taskrun.level"?`,
		`events: {formats: cdevents}`:                                          "invalid format: cdevents",
		`events: {sink: here}`:                                                 "it must be a URL",
		`tracing: {enabled: sure}`:                                             `"sure" means nothing to Tekton`,
		`leaderElection: {lease-duration: 1}`:                                  `"1" means nothing to Tekton`,
		`leaderElection: {lease-duration: 1s}`:                                 "lease-duration, 1s, must be longer than renew-deadline, 40s",
		`logging: {loglevel.controller: loud}`:                                 `"loud" means nothing to Tekton`,
		`logging: {loglevel.controler: info}`:                                  `did you mean "loglevel.controller"?`,
		`configMaps: {config-default: {a: b}}`:                                 `the release has no ConfigMap config-default: did you mean "config-defaults"?`,
		`configMaps: {pipelines-info: {version: v9.0.0}}`:                      "says which version runs",
		`configMaps: {config-registry-cert: {cert: x}}`:                        "pass --ca-file",
		`configMaps: {feature-flags-triggers: {enable-api-fields: x}}`:         `"x" means nothing to Tekton`,
		`configMaps: {feature-flags-triggers: {labels-exclusion-pattern: (a}}`: "missing closing )",
		`configMaps: {resolvers-feature-flags: {enable-git-resolver: x}}`:      `"x" means nothing to Tekton`,
		`configMaps: {git-resolver-config: {fetch-timeout: 5}}`:                "it must be a duration",

		`deployments: {tekton-pipeline-controller: {replicas: 2}}`:                      `did you mean "tekton-pipelines-controller"?`,
		`deployments: {resolvers: {replicas: 2}}`:                                       "the release has no such Deployment or component",
		`deployments: {tekton-pipelines-webhook: {resources: {requests: {cpu: 900m}}}}`: "would request more cpu (900m) than its limit (500m)",
	} {
		t.Run(settingsText, func(t *testing.T) {
			_, err := settings.Apply(release(t), parse(t, settingsText))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v lacks %q", err, want)
			}
		})
	}
}

// TestAllProblems holds that one run reports every problem.
func TestAllProblems(t *testing.T) {
	_, err := settings.Apply(release(t), parse(t, `
featureFlags: {enable-api-fields: gamma, coschedule: x}
events: {sink: here}
deployments: {nothing: {replicas: 2}}`))
	for _, want := range []string{"enable-api-fields", "coschedule", "events.sink", "deployments.nothing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func TestWorkloads(t *testing.T) {
	objects := release(t)
	applied, err := settings.Apply(objects, parse(t, `
replicas: 2
nodeSelector: {pool: tools}
tolerations: [{key: tools, operator: Exists, effect: NoSchedule}]
deployments:
  triggers: {replicas: 3, priorityClassName: tools}
  tekton-triggers-webhook: {replicas: 4}
  tekton-pipelines-webhook: {replicas: 6}
  tekton-pipelines-remote-resolvers:
    resources: {requests: {memory: 200Mi}}
    affinity: {podAntiAffinity: {}}
`))
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string, path ...string) any {
		value, _, _ := unstructured.NestedFieldNoCopy(named(t, objects, name).Object, path...)
		return value
	}
	for name, want := range map[string]any{
		"tekton-pipelines-controller": int64(2), "tekton-triggers-controller": int64(3),
		"tekton-triggers-webhook": int64(4), "tekton-pipelines-webhook": nil,
	} {
		if got := get("Deployment/tekton-pipelines/"+name, "spec", "replicas"); got != want {
			t.Errorf("%s has %v replicas, want %v", name, got, want)
		}
	}
	const autoscaler = "HorizontalPodAutoscaler/tekton-pipelines/tekton-pipelines-webhook"
	least, most := get(autoscaler, "spec", "minReplicas"), get(autoscaler, "spec", "maxReplicas")
	if least != int64(6) || most != int64(6) || len(applied.Notes) != 1 {
		t.Errorf("the autoscaler has %v to %v replicas, and the notes are %v", least, most, applied.Notes)
	}
	pod := get("Deployment/tekton-pipelines/tekton-triggers-controller", "spec", "template", "spec").(map[string]any)
	if pod["priorityClassName"] != "tools" || pod["nodeSelector"].(map[string]any)["pool"] != "tools" ||
		len(pod["tolerations"].([]any)) != 1 {
		t.Errorf("the Pods are %v", pod)
	}
	resolvers := get("Deployment/tekton-pipelines-resolvers/tekton-pipelines-remote-resolvers", "spec", "template",
		"spec").(map[string]any)
	container := resolvers["containers"].([]any)[0].(map[string]any)
	requests, _, _ := unstructured.NestedStringMap(container, "resources", "requests")
	if !maps.Equal(requests, map[string]string{"memory": "200Mi", "cpu": "100m"}) {
		t.Errorf("the requests are %v", requests)
	}
	affinity := resolvers["affinity"].(map[string]any)
	if anti, _ := affinity["podAntiAffinity"].(map[string]any); len(anti) != 0 || affinity["nodeAffinity"] == nil {
		t.Errorf("the affinity is %v", affinity)
	}
}

// TestParsers holds that the versions of the parsers are those of go.mod.
func TestParsers(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for module, version := range map[string]string{
		"github.com/tektoncd/pipeline": settings.PipelineParsers, "github.com/tektoncd/triggers": settings.TriggersParsers,
	} {
		if !strings.Contains(string(text), module+" "+version+"\n") {
			t.Errorf("go.mod has another version of %s than %s", module, version)
		}
	}
}

// TestNewerRelease holds that a release of another minor version is not held to the parsers
// of this one.
func TestNewerRelease(t *testing.T) {
	objects := release(t)
	info := named(t, objects, "ConfigMap/tekton-pipelines/pipelines-info")
	for _, obj := range append(objects, info) {
		labels := obj.GetLabels()
		if labels["pipeline.tekton.dev/release"] != "" {
			labels["pipeline.tekton.dev/release"] = "v1.99.0"
			obj.SetLabels(labels)
		}
	}
	_ = unstructured.SetNestedField(info.Object, "v1.99.0", "data", "version")
	flags := named(t, objects, "ConfigMap/tekton-pipelines/feature-flags")
	_ = unstructured.SetNestedField(flags.Object, "off", "data", "enable-telepathy")
	applied, err := settings.Apply(objects, parse(t, `featureFlags: {enable-api-fields: gamma, enable-telepathy: "on"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(applied.Notes) != 1 || !strings.Contains(applied.Notes[0], "v1.99.0 is installed") {
		t.Errorf("the notes are %q", applied.Notes)
	}
	_, err = settings.Apply(objects, parse(t, `featureFlags: {enable-telepathi: "on"}`))
	if err == nil || !strings.Contains(err.Error(), `did you mean "enable-telepathy"?`) {
		t.Errorf("error %v", err)
	}
}
