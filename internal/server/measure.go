package server

import (
	"bytes"
	"errors"
	"log"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
)

// Requests measures the requests to a server, by path.
type Requests struct {
	duration *prometheus.HistogramVec
	total    *prometheus.CounterVec
	rejected *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
}

var _ prometheus.Collector = (*Requests)(nil)

// NewRequests returns metrics whose names begin with subsystem.
func NewRequests(subsystem string) *Requests {
	path := []string{"path"}
	return &Requests{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: "request_duration_seconds",
			Help:    "Time from the end of a request's header to its answer, by path.",
			Buckets: []float64{.0001, .0002, .0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, path),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "requests_total", Help: "Requests that were answered, by path and HTTP status.",
		}, []string{"path", "code"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "requests_rejected_total",
			Help: "Requests that were not judged, by path and reason: malformed, method, media-type, too-large, slow (the body did not arrive in time), busy (too many bytes in flight) or failed (a rule panicked).",
		}, []string{"path", "reason"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Subsystem: subsystem, Name: "requests_in_flight", Help: "Requests that are being answered, by path.",
		}, path),
	}
}

// Describe implements prometheus.Collector.
func (r *Requests) Describe(out chan<- *prometheus.Desc) {
	for _, c := range r.collectors() {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (r *Requests) Collect(out chan<- prometheus.Metric) {
	for _, c := range r.collectors() {
		c.Collect(out)
	}
}

func (r *Requests) collectors() []prometheus.Collector {
	return []prometheus.Collector{r.duration, r.total, r.rejected, r.inFlight}
}

// reasons are the labels of requests that were not judged, by HTTP status.
var reasons = map[int]string{
	http.StatusBadRequest:            "malformed",
	http.StatusMethodNotAllowed:      "method",
	http.StatusUnsupportedMediaType:  "media-type",
	http.StatusRequestTimeout:        "slow",
	http.StatusRequestEntityTooLarge: "too-large",
	http.StatusTooManyRequests:       "busy",
	http.StatusInternalServerError:   "failed",
}

// measure returns next, measured. A request that succeeds costs no look-up of labels.
func (r *Requests) measure(path string, next http.Handler) http.Handler {
	duration, inFlight := r.duration.WithLabelValues(path), r.inFlight.WithLabelValues(path)
	good := r.total.WithLabelValues(path, "200")
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		began := time.Now()
		inFlight.Inc()
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			inFlight.Dec()
			duration.Observe(time.Since(began).Seconds())
			if answer.status == http.StatusOK {
				good.Inc()
				return
			}
			r.total.WithLabelValues(path, strconv.Itoa(answer.status)).Inc()
			if reason, found := reasons[answer.status]; found {
				r.rejected.WithLabelValues(path, reason).Inc()
			}
		}()
		next.ServeHTTP(answer, request)
	})
}

// Busy counts a request that was not judged because the server was busy, but was answered
// with a judgement nevertheless.
func (r *Requests) Busy(path string) { r.rejected.WithLabelValues(path, "busy").Inc() }

// answer remembers its status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Handshakes counts failed TLS handshakes, in place of a log line for each: a client that
// does not trust the certificate tries again with every request, and a port scan never
// completes one.
type Handshakes struct{ failed *prometheus.CounterVec }

var _ prometheus.Collector = (*Handshakes)(nil)

// NewHandshakes returns a counter whose name begins with subsystem.
func NewHandshakes(subsystem string) *Handshakes {
	h := &Handshakes{prometheus.NewCounterVec(prometheus.CounterOpts{
		Subsystem: subsystem, Name: "tls_handshake_errors_total",
		Help: "TLS handshakes that failed, by reason: untrusted (the client does not trust the certificate), closed (the client left), timeout, plain (it spoke HTTP) or protocol.",
	}, []string{"reason"})}
	for _, reason := range []string{"untrusted", "closed", "timeout", "plain", "protocol"} {
		h.failed.WithLabelValues(reason)
	}
	return h
}

// Describe implements prometheus.Collector.
func (h *Handshakes) Describe(out chan<- *prometheus.Desc) { h.failed.Describe(out) }

// Collect implements prometheus.Collector.
func (h *Handshakes) Collect(out chan<- prometheus.Metric) { h.failed.Collect(out) }

// logTo returns a log for an http.Server that counts failed handshakes and passes on
// everything else.
func (h *Handshakes) logTo(to logr.Logger) *log.Logger {
	return log.New(&errorLog{h, to}, "", 0)
}

type errorLog struct {
	handshakes *Handshakes
	log        logr.Logger
}

// Write takes one line of an http.Server. Its text is the only way to tell failed
// handshakes from other errors.
func (e *errorLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	if cause, found := strings.CutPrefix(text, "http: TLS handshake error from "); found {
		e.handshakes.failed.WithLabelValues(handshakeReason(cause)).Inc()
		return len(line), nil
	}
	e.log.Error(errors.New(text), "serving continues")
	return len(line), nil
}

// handshakeReason returns the label for the cause of a failed handshake. A client that does
// not trust the certificate sends a TLS alert, which is part of the text.
func handshakeReason(cause string) string {
	for _, r := range []struct{ text, reason string }{
		{"remote error: tls: bad certificate", "untrusted"},
		{"remote error: tls: unknown certificate", "untrusted"}, // also: unknown certificate authority
		{"remote error: tls: expired certificate", "untrusted"},
		{"remote error: tls: revoked certificate", "untrusted"},
		{"i/o timeout", "timeout"},
		{"client sent an HTTP request to an HTTPS server", "plain"},
		{"EOF", "closed"},
		{"connection reset by peer", "closed"},
		{"broken pipe", "closed"},
	} {
		if strings.Contains(cause, r.text) {
			return r.reason
		}
	}
	return "protocol"
}
