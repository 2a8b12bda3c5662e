package main

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/validator"
)

// subsystem begins the names of what is measured of the server itself.
const subsystem = "tekgate_webhook"

// measures are what this server counts besides controller-runtime.
type measures struct {
	objects  *prometheus.CounterVec
	rules    *prometheus.CounterVec
	warnings *prometheus.CounterVec
	findings *prometheus.CounterVec
	dropped  prometheus.Counter
	failures *prometheus.CounterVec
	info     *prometheus.GaugeVec
	expiry   *prometheus.GaugeVec
	repairs  *prometheus.CounterVec

	reloads    *server.ReloadMetrics
	requests   *server.Requests
	handshakes *server.Handshakes
}

// newMeasures registers them. A process that serves twice, as tests do, goes on
// with those that it has.
func newMeasures(registry prometheus.Registerer) (*measures, error) {
	var problems []error
	m := &measures{
		objects: keep(registry, &problems, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tekgate_mutator_objects_total",
			Help: "Objects that the mutator's rules were asked about, by kind and whether they were changed.",
		}, []string{"kind", "result"})),
		rules: keep(registry, &problems, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tekgate_mutator_rule_changes_total",
			Help: "Objects that a rule of the mutator changed, by rule and kind.",
		}, []string{"rule", "kind"})),
		warnings: keep(registry, &problems, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tekgate_mutator_warnings_total",
			Help: "Warnings that were given to those who created objects, by kind.",
		}, []string{"kind"})),
		findings: keep(registry, &problems, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tekgate_validator_findings_total",
			Help: "What the validator's rules found in requests, by rule, what became of it (enforce, warn, audit) and kind.",
		}, []string{"rule", "mode", "kind"})),
		failures: keep(registry, &problems, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tekgate_validator_custom_failures_total",
			Help: "Objects that passed a rule of validator.custom because its expression could not be evaluated, by rule.",
		}, []string{"rule"})),
		dropped: keep(registry, &problems, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tekgate_validator_later_dropped_total",
			Help: "Objects of which no Event could tell what was found, because too many waited or the API server failed.",
		})),
		info: keep(registry, &problems, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tekgate_config_info", Help: "1 for the hash of the configuration in force, as in the annotation tekgate.dev/mutated.",
		}, []string{"hash"})),
		expiry: keep(registry, &problems, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Subsystem: subsystem, Name: "certificate_expiry_timestamp_seconds",
			Help: "When a certificate expires, in Unix time: the serving one, which is renewed by itself, or its CA's.",
		}, []string{"certificate"})),
		repairs: keep(registry, &problems, prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "ca_bundle_repairs_total",
			Help: "How often this replica put back a caBundle that somebody had overwritten, by webhook configuration.",
		}, []string{"configuration"})),
		reloads:    keep(registry, &problems, server.NewReloadMetrics()),
		requests:   keep(registry, &problems, server.NewRequests(subsystem)),
		handshakes: keep(registry, &problems, server.NewHandshakes(subsystem)),
	}
	// controller-runtime registers these for programs that have controllers alone.
	keep[prometheus.Collector](registry, &problems, collectors.NewGoCollector())
	keep[prometheus.Collector](registry, &problems, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m, errors.Join(problems...)
}

func keep[C prometheus.Collector](registry prometheus.Registerer, problems *[]error, collector C) C {
	err := registry.Register(collector)
	var known prometheus.AlreadyRegisteredError
	if errors.As(err, &known) {
		if before, ok := known.ExistingCollector.(C); ok {
			return before
		}
	}
	if err != nil {
		*problems = append(*problems, err)
	}
	return collector
}

// observe counts one outcome.
func (m *measures) observe(kind schema.GroupVersionKind, out mutator.Outcome) {
	result, last := "unchanged", ""
	for _, d := range out.Decisions { // one rule's after the other's
		if d.Did == "" || d.Rule == last {
			continue
		}
		result, last = "changed", d.Rule
		m.rules.WithLabelValues(d.Rule, kind.Kind).Inc()
	}
	m.objects.WithLabelValues(kind.Kind, result).Inc()
	if n := len(out.Warnings); n > 0 {
		m.warnings.WithLabelValues(kind.Kind).Add(float64(n))
	}
}

// finding counts one finding of the validator.
func (m *measures) finding(kind string, f validator.Finding) {
	m.findings.WithLabelValues(f.Rule, string(f.Mode), kind).Inc()
}

// failure counts an object for which a rule of the configuration could not be evaluated.
func (m *measures) failure(id string) { m.failures.WithLabelValues(id).Inc() }

func (m *measures) loaded(hash string, now time.Time) {
	m.info.Reset()
	m.info.WithLabelValues(hash).Set(1)
	m.reloads.Loaded(now)
}

// expire takes when the serving certificate and its CA expire.
func (m *measures) expire(leaf, ca time.Time) {
	for name, at := range map[string]time.Time{"serving": leaf, "ca": ca} {
		if !at.IsZero() {
			m.expiry.WithLabelValues(name).Set(float64(at.Unix()))
		}
	}
}
