package settings

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	pipelines "github.com/tektoncd/pipeline/pkg/apis/config"
	"github.com/tektoncd/pipeline/pkg/apis/config/resolver"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggers "github.com/tektoncd/triggers/pkg/apis/config"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	election "k8s.io/client-go/tools/leaderelection"
	"knative.dev/pkg/leaderelection"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/observability"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// parser reads the data of a ConfigMap as Tekton's controllers do.
type parser func(data map[string]string) (any, error)

// use makes a parser of a function that returns its own type.
func use[T any](read func(map[string]string) (T, error)) parser {
	return func(data map[string]string) (any, error) { return read(data) }
}

// useMap makes a parser of a function that reads a whole ConfigMap.
func useMap[T any](read func(*corev1.ConfigMap) (T, error)) parser {
	return func(data map[string]string) (any, error) { return read(&corev1.ConfigMap{Data: data}) }
}

// parsers returns the parsers of a ConfigMap of Tekton.
func parsers(obj *unstructured.Unstructured) []parser {
	name := obj.GetName()
	switch {
	case name == "feature-flags":
		return []parser{use(pipelines.NewFeatureFlagsFromMap)}
	case name == "config-defaults":
		return []parser{use(pipelines.NewDefaultsFromMap)}
	case name == "config-events":
		return []parser{use(pipelines.NewEventsFromMap)}
	case name == "config-tracing":
		return []parser{useMap(pipelines.NewTracingFromConfigMap)}
	case name == "config-spire":
		return []parser{use(pipelines.NewSpireConfigFromMap)}
	case name == "config-wait-exponential-backoff":
		return []parser{useMap(pipelines.NewWaitExponentialBackoffFromConfigMap)}
	case name == "resolvers-feature-flags":
		return []parser{use(resolver.NewFeatureFlagsFromMap)}
	case name == "config-defaults-triggers":
		return []parser{use(triggers.NewDefaultsFromMap)}
	case name == "feature-flags-triggers":
		return []parser{use(triggers.NewFeatureFlagsFromMap)}
	case name == "config-observability" && obj.GetNamespace() == wellknown.PipelinesNamespace:
		return []parser{use(observability.NewFromMap), useMap(pipelines.NewMetricsFromConfigMap)}
	case strings.HasPrefix(name, "config-observability"):
		return []parser{use(observability.NewFromMap)}
	case strings.HasPrefix(name, "config-leader-election"):
		return []parser{use(leaderelection.NewConfigFromMap)}
	case strings.HasPrefix(name, "config-logging"):
		return []parser{use(logging.NewConfigFromMap)}
	}
	return nil
}

// parse returns why Tekton's parsers refuse the data of a ConfigMap.
func parse(obj *unstructured.Unstructured, data map[string]string) error {
	for _, parser := range parsers(obj) {
		if _, err := parser(data); err != nil {
			return err
		}
	}
	return nil
}

// together returns why Tekton does not work with the data of a ConfigMap as a whole.
// Without the right order of times, client-go starts no election, and the controller ends.
func together(obj *unstructured.Unstructured) error {
	data := installer.ConfigData(obj)
	if err := parse(obj, data); err != nil || !strings.HasPrefix(obj.GetName(), "config-leader-election") {
		return err
	}
	c, err := leaderelection.NewConfigFromMap(data)
	switch {
	case err != nil:
		return err
	case c.LeaseDuration <= c.RenewDeadline:
		return fmt.Errorf("lease-duration, %s, must be longer than renew-deadline, %s", c.LeaseDuration,
			c.RenewDeadline)
	case float64(c.RenewDeadline) <= election.JitterFactor*float64(c.RetryPeriod):
		return fmt.Errorf("renew-deadline, %s, must be longer than %g times retry-period, %s", c.RenewDeadline,
			election.JitterFactor, c.RetryPeriod)
	}
	return nil
}

// probe reports whether Tekton's parsers read a key: then a value that no key has by
// default makes them fail, or changes what they return. The value is a YAML document, as
// parsers log texts that are none. Logging is asked about no key, since its parser takes
// any that begins with loglevel.
func probe(obj *unstructured.Unstructured, key string) bool {
	if strings.HasPrefix(obj.GetName(), "config-logging") {
		return false
	}
	data := installer.ConfigData(obj)
	if data == nil {
		data = map[string]string{}
	}
	delete(data, key)
	for _, parser := range parsers(obj) {
		without, errWithout := parser(data)
		data[key] = "{}"
		with, errWith := parser(data)
		delete(data, key)
		if fmt.Sprint(errWithout) != fmt.Sprint(errWith) || !reflect.DeepEqual(without, with) {
			return true
		}
	}
	return false
}

// checkMeaning refuses values that Tekton's parsers take, and that mean nothing to its
// controllers or are not what their author meant.
func checkMeaning(obj *unstructured.Unstructured, key, value string) error {
	name := obj.GetName()
	if strings.HasPrefix(name, "config-logging") {
		return checkLogging(obj, key, value)
	}
	if check, found := meanings[name+"/"+key]; found {
		return check(value)
	}
	if strings.HasSuffix(key, "fetch-timeout") || key == "ttl" {
		return duration(value)
	}
	return nil
}

// checkLogging asks the parser of logging, which probe leaves out.
func checkLogging(obj *unstructured.Unstructured, key, value string) error {
	data := installer.ConfigData(obj)
	if data == nil {
		data = map[string]string{}
	}
	data[key] = value
	return parse(obj, data)
}

// meanings are checks that Tekton's parsers leave out, by ConfigMap and key. The levels of
// metrics are refused by the recorders in pkg/taskrunmetrics and pkg/pipelinerunmetrics,
// which then record nothing.
var meanings = map[string]func(value string) error{
	"config-observability/metrics.taskrun.level": oneOf(pipelines.TaskrunLevelAtTaskrun,
		pipelines.TaskrunLevelAtTask, pipelines.TaskrunLevelAtNS),
	"config-observability/metrics.pipelinerun.level": oneOf(pipelines.PipelinerunLevelAtPipelinerun,
		pipelines.PipelinerunLevelAtPipeline, pipelines.PipelinerunLevelAtNS),
	"config-observability/metrics.running-pipelinerun.level": oneOf(pipelines.PipelinerunLevelAtPipelinerun,
		pipelines.PipelinerunLevelAtPipeline, pipelines.PipelinerunLevelAtNS, ""),
	"config-observability/metrics.taskrun.duration-type": oneOf(pipelines.DurationTaskrunTypeHistogram,
		pipelines.DurationTaskrunTypeLastValue),
	"config-observability/metrics.pipelinerun.duration-type": oneOf(pipelines.DurationPipelinerunTypeHistogram,
		pipelines.DurationPipelinerunTypeLastValue),
	"config-observability/metrics.count.enable-reason":               oneOf("true", "false"),
	"config-observability/metrics.taskrun.throttle.enable-namespace": oneOf("true", "false"),

	"feature-flags/disable-inline-spec": listOf("pipeline", "pipelinerun", "taskrun"),
	"feature-flags/max-result-size":     atLeast(1),

	"config-defaults/default-timeout-minutes":                 atLeast(0),
	"config-defaults/default-max-matrix-combinations-count":   atLeast(1),
	"config-defaults/default-step-ref-concurrency-limit":      atLeast(1),
	"config-defaults/default-imagepullbackoff-timeout":        duration,
	"config-defaults/default-create-container-error-timeout":  duration,
	"config-defaults/default-maximum-resolution-timeout":      duration,
	"config-defaults/default-sidecar-log-polling-interval":    duration,
	"config-defaults/default-service-account":                 named(validation.IsDNS1123Subdomain),
	"config-defaults/default-managed-by-label-value":          named(validation.IsValidLabelValue),
	"config-defaults/default-pod-template":                    document[pod.Template],
	"config-defaults/default-affinity-assistant-pod-template": document[pod.AffinityAssistantTemplate],
	"config-defaults/default-task-run-workspace-binding":      document[pipelinev1.WorkspaceBinding],
	"config-defaults/default-container-resource-requirements": document[map[string]corev1.ResourceRequirements],
	"config-defaults/default-cloud-events-sink":               webAddress,

	"config-events/sink":      webAddress,
	"config-tracing/endpoint": webAddress,

	"config-defaults-triggers/default-service-account": named(validation.IsDNS1123Subdomain),
	"feature-flags-triggers/labels-exclusion-pattern": func(value string) error {
		_, err := regexp.Compile(value)
		return err
	},
}

func oneOf(values ...string) func(string) error {
	return func(value string) error {
		if slices.Contains(values, value) {
			return nil
		}
		shown := make([]string, len(values))
		for i, v := range values {
			shown[i] = strconv.Quote(v)
		}
		return fmt.Errorf("it must be one of %s", strings.Join(shown, ", "))
	}
}

func listOf(values ...string) func(string) error {
	return func(value string) error {
		for _, part := range strings.Split(value, ",") {
			if value != "" && !slices.Contains(values, part) {
				return fmt.Errorf("it must be a list of %s, with commas and without spaces", strings.Join(values, ", "))
			}
		}
		return nil
	}
}

func atLeast(least int64) func(string) error {
	return func(value string) error {
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < least {
			return fmt.Errorf("it must be a whole number of at least %d", least)
		}
		return nil
	}
}

func duration(value string) error {
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		return errors.New("it must be a duration such as 90s or 5m")
	case d < 0:
		return errors.New("it must not be negative")
	}
	return nil
}

func named(valid func(string) []string) func(string) error {
	return func(value string) error {
		if wrong := valid(value); value != "" && len(wrong) > 0 {
			return errors.New(wrong[0])
		}
		return nil
	}
}

// document checks the text of an object. Tekton ignores its unknown fields.
func document[T any](text string) error { return yaml.UnmarshalStrict([]byte(text), new(T)) }

func webAddress(value string) error {
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return errors.New("it must be a URL such as https://HOST/PATH")
	}
	return nil
}
