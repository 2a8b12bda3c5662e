package server

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/reload"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Reloads reports how a server takes changes of its configuration file: in the log, in
// metrics, and as an Event on the ConfigMap if the file is wrong.
type Reloads struct {
	Server    string // such as "the interceptor"
	Namespace string // of the ConfigMap
	Client    client.Reader
	Warn      Warn
	Log       logr.Logger
	Metrics   *ReloadMetrics
}

// Report reports one change: err says why the configuration before stays in force. The
// values are logged.
func (r *Reloads) Report(ctx context.Context, err error, values ...any) {
	if err == nil {
		r.Metrics.Loaded(time.Now())
		r.Log.Info("using a new configuration", values...)
		return
	}
	r.Metrics.success.Set(0)
	r.Log.Error(err, "keeping the last good configuration", values...)
	r.event(ctx, err)
}

// event records the Event where users look for it, on the ConfigMap.
func (r *Reloads) event(ctx context.Context, cause error) {
	var cm corev1.ConfigMap
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: wellknown.ConfigMap}, &cm)
	switch {
	case apierrors.IsNotFound(err): // the file is not mounted from there
	case err == nil:
		r.Warn(ctx, &cm, "BadConfiguration", "Reload",
			r.Server+" keeps the last good configuration: "+reload.OneLine(cause))
	case ctx.Err() == nil:
		r.Log.Error(err, "a wrong configuration could not be recorded as an Event")
	}
}

// ReloadMetrics have the same names in both servers.
type ReloadMetrics struct{ success, at prometheus.Gauge }

var _ prometheus.Collector = (*ReloadMetrics)(nil)

// NewReloadMetrics returns metrics of a configuration that was not read yet.
func NewReloadMetrics() *ReloadMetrics {
	return &ReloadMetrics{
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tekgate_config_last_reload_successful",
			Help: "1 if the configuration was valid when it was read last.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tekgate_config_last_reload_success_timestamp_seconds",
			Help: "Unix time at which a valid configuration was read last.",
		}),
	}
}

// Loaded notes that a valid configuration was read.
func (m *ReloadMetrics) Loaded(now time.Time) {
	m.success.Set(1)
	m.at.Set(float64(now.Unix()))
}

// Describe implements prometheus.Collector.
func (m *ReloadMetrics) Describe(out chan<- *prometheus.Desc) {
	m.success.Describe(out)
	m.at.Describe(out)
}

// Collect implements prometheus.Collector.
func (m *ReloadMetrics) Collect(out chan<- prometheus.Metric) {
	m.success.Collect(out)
	m.at.Collect(out)
}
