package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	crmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/interceptor/secrets"
	"github.com/tekgate/tekgate/internal/server"
)

// metrics are what is served at /metrics. No label holds a word that a sender
// chose: providers, reasons and outcomes are from lists, and a Secret's name
// appears only where the configuration says so and once it has verified a delivery.
//
// They have a registry of their own beside controller-runtime's, so that two
// servers of one process, as in tests, do not share them.
type metrics struct {
	registry *prometheus.Registry
	verdicts *prometheus.CounterVec
	duration *prometheus.HistogramVec
	skew     *prometheus.HistogramVec
	newlines prometheus.Counter
	secrets  *prometheus.CounterVec
	delayed  prometheus.Counter
	matched  *matched
	reloads  *server.ReloadMetrics

	handshakes *server.Handshakes
}

const subsystem = "tekgate_interceptor"

func newMetrics(expiry func() (leaf, ca time.Time)) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "verdicts_total",
			Help: "Verdicts by provider, result (continue or stop) and reason. The provider is empty where the params named none.",
		}, []string{"provider", "result", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: "verdict_duration_seconds",
			Help:    "Time from an EventListener's request to the verdict, by provider.",
			Buckets: []float64{.0001, .0002, .0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"provider"}),
		skew: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: "clock_skew_seconds",
			Help:    "This server's clock minus the time that a verified delivery was signed at, by provider: its time on the way, and by how much the clocks differ.",
			Buckets: []float64{-3600, -300, -60, -10, -1, 0, 1, 5, 10, 30, 60, 300, 1800, 3600, 7200, 86400},
		}, []string{"provider"}),
		newlines: prometheus.NewCounter(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "secret_newlines_total",
			Help: "Verdicts for which a newline was taken off the end of a Secret's value.",
		}),
		secrets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "secret_lookups_total",
			Help: "Look-ups of Secrets by outcome: cached, read, stale (served on while the API server is away) or failed.",
		}, []string{"outcome"}),
		delayed: prometheus.NewCounter(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "delayed_answers_total",
			Help: "Refusals that were held back since their Secrets did not verify many deliveries lately: somebody may guess.",
		}),
		matched: &matched{seen: map[matchedKey]matchedValue{}},
		reloads: server.NewReloadMetrics(),

		handshakes: server.NewHandshakes(subsystem),
	}
	m.reloads.Loaded(time.Now()) // a server does not start without a configuration
	for _, o := range secrets.Outcomes {
		m.secrets.WithLabelValues(string(o))
	}
	m.registry.MustRegister(m.verdicts, m.duration, m.skew, m.newlines, m.secrets, m.delayed, m.matched, m.reloads,
		m.handshakes,
		expiryGauge("serving", func() time.Time { leaf, _ := expiry(); return leaf }),
		expiryGauge("ca", func() time.Time { _, ca := expiry(); return ca }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func expiryGauge(certificate string, at func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Subsystem: subsystem, Name: "certificate_expiry_timestamp_seconds",
		Help:        "When a certificate expires, in Unix time: the serving one, which is renewed by itself, or its CA's.",
		ConstLabels: prometheus.Labels{"certificate": certificate},
	}, func() float64 {
		if at := at(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0 // there is none yet
	})
}

// watchReplays adds how much of the bounds of replay is used.
func (m *metrics) watchReplays(fill func() (total int, fill float64)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Subsystem: subsystem, Name: "replay_deliveries",
			Help: "Deliveries that are remembered for the param replay, by all replicas.",
		}, func() float64 { total, _ := fill(); return float64(total) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Subsystem: subsystem, Name: "replay_fill_ratio",
			Help: "Part of interceptor.replay.max or maxPerNamespace that is used, whichever is more. At 1, replay: enforce refuses events.",
		}, func() float64 { _, ratio := fill(); return ratio }))
}

// Observe implements interceptor.Observer.
func (m *metrics) Observe(r interceptor.Record) {
	result := "stop"
	if r.Continue {
		result = "continue"
	}
	m.verdicts.WithLabelValues(r.Provider, result, r.Reason).Inc()
	m.duration.WithLabelValues(r.Provider).Observe(r.Duration.Seconds())
	if r.Newline {
		m.newlines.Inc()
	}
	if r.Slowed() {
		m.delayed.Inc()
	}
	if !r.Verified {
		return // the time is anybody's word, and so is the Secret
	}
	if r.Signed {
		m.skew.WithLabelValues(r.Provider).Observe(r.Skew.Seconds())
	}
	m.matched.note(r)
}

// handler serves these metrics and controller-runtime's, which has those of the
// requests to the API server.
func (m *metrics) handler() http.Handler {
	all := prometheus.Gatherers{m.registry, crmetrics.Registry}
	h := promhttp.HandlerFor(all, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// matched tells of each Secret that verified a delivery lately how old it is and
// when it was last of use: after a rotation, the old one's last use says when it
// can go. Whoever reads metrics may read the names of Secrets there, so the
// configuration has to ask for it.
type matched struct {
	on   atomic.Bool
	mu   sync.Mutex
	seen map[matchedKey]matchedValue
}

// enable switches the metrics on or off. What was seen is forgotten with them.
func (m *matched) enable(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on.Store(on)
	if !on {
		clear(m.seen)
	}
}

type matchedKey struct{ namespace, secret, key string }

type matchedValue struct{ since, used time.Time }

// The bounds of what is remembered.
const (
	matchedMax    = 1000
	matchedMemory = 7 * 24 * time.Hour
)

var (
	matchedLabels = []string{"namespace", "secret", "key"}
	matchedAge    = prometheus.NewDesc(subsystem+"_matched_secret_age_seconds",
		"Time since the Secret was written whose value verified a delivery within the last week.", matchedLabels, nil)
	matchedUse = prometheus.NewDesc(subsystem+"_matched_secret_last_use_timestamp_seconds",
		"When a Secret's value verified a delivery for the last time, in Unix time.", matchedLabels, nil)
)

func (m *matched) note(r interceptor.Record) {
	if r.Matched == (interceptor.SecretKey{}) || !m.on.Load() {
		return
	}
	namespace, _ := deliveries.Trigger(r.TriggerID)
	key := matchedKey{namespace, r.Matched.Name, r.Matched.Key}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on.Load() { // it was switched off meanwhile
		return
	}
	if _, found := m.seen[key]; !found && len(m.seen) >= matchedMax {
		return
	}
	m.seen[key] = matchedValue{r.Secret.Since, r.Time}
}

// Describe implements prometheus.Collector.
func (m *matched) Describe(out chan<- *prometheus.Desc) { out <- matchedAge; out <- matchedUse }

// Collect implements prometheus.Collector.
func (m *matched) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for key, value := range m.seen {
		if now.Sub(value.used) > matchedMemory {
			delete(m.seen, key)
			continue
		}
		labels := []string{key.namespace, key.secret, key.key}
		out <- prometheus.MustNewConstMetric(matchedUse, prometheus.GaugeValue, float64(value.used.Unix()), labels...)
		if !value.since.IsZero() {
			out <- prometheus.MustNewConstMetric(matchedAge, prometheus.GaugeValue, now.Sub(value.since).Seconds(),
				labels...)
		}
	}
}
