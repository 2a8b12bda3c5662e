package serve

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

// Requests measures what is asked of a server, by path.
type Requests struct {
	duration *prometheus.HistogramVec
	total    *prometheus.CounterVec
	rejected *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
}

var _ prometheus.Collector = (*Requests)(nil)

// NewRequests returns measures whose names begin with subsystem.
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
			Help: "Requests that were not judged, by path and reason: malformed, method, media-type, too-large, busy (too many bytes in flight) or failed (a rule panicked).",
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

// reasons says, by HTTP status, why a request was not judged.
var reasons = map[int]string{
	http.StatusBadRequest:            "malformed",
	http.StatusMethodNotAllowed:      "method",
	http.StatusUnsupportedMediaType:  "media-type",
	http.StatusRequestEntityTooLarge: "too-large",
	http.StatusTooManyRequests:       "busy",
	http.StatusInternalServerError:   "failed",
}

// measure returns next, measured. It looks nothing up for a request that is
// answered as it should be.
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

// Handshakes counts TLS handshakes that failed, instead of logging each: a client
// that does not trust the certificate tries again with every request, and whoever
// looks whether a port is open never finishes one.
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

// logTo returns a log for an http.Server that counts failed handshakes and hands on
// everything else.
func (h *Handshakes) logTo(to logr.Logger) *log.Logger {
	return log.New(&errorLog{h, to}, "", 0)
}

type errorLog struct {
	handshakes *Handshakes
	log        logr.Logger
}

// Write takes one line of an http.Server, whose words are all there is to tell
// them apart by.
func (e *errorLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	if cause, found := strings.CutPrefix(text, "http: TLS handshake error from "); found {
		e.handshakes.fail(cause)
		return len(line), nil
	}
	e.log.Error(errors.New(text), "serving goes on")
	return len(line), nil
}

// fail counts a handshake that failed, by what failed.
func (h *Handshakes) fail(cause string) { h.failed.WithLabelValues(handshakeReason(cause)).Inc() }

// plainHTTP is what an http.Server calls a client that speaks no TLS.
const plainHTTP = "client sent an HTTP request to an HTTPS server"

// handshakeReason names the cause of a failed handshake. Clients say in an alert of
// TLS what they have against a certificate.
func handshakeReason(cause string) string {
	for _, r := range []struct{ words, reason string }{
		{"remote error: tls: bad certificate", "untrusted"},
		{"remote error: tls: unknown certificate", "untrusted"}, // also: unknown certificate authority
		{"remote error: tls: expired certificate", "untrusted"},
		{"remote error: tls: revoked certificate", "untrusted"},
		{"i/o timeout", "timeout"},
		{plainHTTP, "plain"},
		{"EOF", "closed"},
		{"connection reset by peer", "closed"},
		{"broken pipe", "closed"},
	} {
		if strings.Contains(cause, r.words) {
			return r.reason
		}
	}
	return "protocol"
}
