package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tekgate/tekgate/internal/server"
)

// fixture is a running server and who trusts it.
type fixture struct {
	*testing.T
	address  string
	registry *prometheus.Registry
	pool     *x509.CertPool
	stop     context.CancelFunc
	stopped  chan error
	log      *lines
}

type lines struct {
	sync.Mutex
	strings.Builder
}

func (l *lines) add(prefix, args string) {
	l.Lock()
	defer l.Unlock()
	l.WriteString(prefix + args + "\n")
}

func (l *lines) String() string {
	l.Lock()
	defer l.Unlock()
	return l.Builder.String()
}

func start(t *testing.T, handlers map[string]http.HandlerFunc) *fixture {
	t.Helper()
	sample := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	sample.Close()
	b := &fixture{T: t, address: freeAddress(t), registry: prometheus.NewRegistry(), pool: x509.NewCertPool(),
		stopped: make(chan error, 1), log: &lines{}}
	b.pool.AddCert(sample.Certificate())
	requests, handshakes := server.NewRequests("test"), server.NewHandshakes("test")
	b.registry.MustRegister(requests, handshakes)
	webhooks := server.NewWebhooks(server.Options{
		Address: b.address, Log: logr.New(funcr.New(b.log.add, funcr.Options{}).GetSink()), Requests: requests,
		Handshakes: handshakes,
		TLS: func(c *tls.Config) {
			c.Certificates, c.NextProtos = sample.TLS.Certificates,
				[]string{"http/1.1"}
		},
	})
	for path, handler := range handlers {
		webhooks.Register(path, handler)
	}
	if webhooks.StartedChecker()(nil) == nil {
		t.Error("the server says that it has started before it has")
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	go func() { b.stopped <- webhooks.Start(ctx) }()
	for end := time.Now().Add(time.Minute); webhooks.StartedChecker()(nil) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not start")
		}
	}
	return b
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (b *fixture) client() *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: b.pool}}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (b *fixture) get(path string) (status int, protocol string) {
	b.Helper()
	res, err := b.client().Get("https://" + b.address + path)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Proto
}

// value is the sum of a metric's series that hold all of some label values.
func (b *fixture) value(name string, labels ...string) (sum float64) {
	b.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, m := range family.GetMetric() {
			for _, label := range labels {
				if !strings.Contains(m.String(), `value:"`+label+`"`) {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// TestSignalCancelsNothing holds what controller-runtime's server does not: what is
// being answered when the first signal comes is answered to its end.
func TestSignalCancelsNothing(t *testing.T) {
	reached, goOn := make(chan struct{}), make(chan struct{})
	var cancelled error
	b := start(t, map[string]http.HandlerFunc{"/slow": func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-goOn
		cancelled = r.Context().Err()
		_, _ = io.WriteString(w, "done")
	}})
	status := make(chan int, 1)
	go func() {
		got, _ := b.get("/slow")
		status <- got
	}()
	<-reached
	if n := b.value("test_requests_in_flight", "/slow"); n != 1 {
		t.Errorf("%v requests are in flight, want 1", n)
	}
	b.stop()
	select {
	case err := <-b.stopped:
		t.Fatalf("Start returned %v while a request was being answered", err)
	case <-time.After(200 * time.Millisecond):
	}
	close(goOn)
	if got := <-status; got != http.StatusOK || cancelled != nil {
		t.Errorf("the request was answered with %d, its context says %v", got, cancelled)
	}
	if err := <-b.stopped; err != nil {
		t.Errorf("Start returned %v", err)
	}
	if n := b.value("test_requests_in_flight", "/slow"); n != 0 {
		t.Errorf("%v requests are in flight in the end", n)
	}
}

func TestProtocols(t *testing.T) {
	b := start(t, map[string]http.HandlerFunc{"/": http.NotFound})
	if _, protocol := b.get("/"); protocol != "HTTP/1.1" {
		t.Errorf("got %s", protocol)
	}
	old := &tls.Config{RootCAs: b.pool, MaxVersion: tls.VersionTLS12}
	if conn, err := tls.Dial("tcp", b.address, old); err == nil {
		conn.Close()
		t.Error("TLS 1.2 is spoken")
	}
}

// TestMeasures counts what became of requests.
func TestMeasures(t *testing.T) {
	b := start(t, map[string]http.HandlerFunc{
		"/mutate": func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.RawQuery {
			case "busy":
				http.Error(w, "busy", http.StatusTooManyRequests)
			case "large":
				http.Error(w, "large", http.StatusRequestEntityTooLarge)
			}
		},
		"/validate": func(http.ResponseWriter, *http.Request) {},
	})
	for _, path := range []string{"/mutate", "/mutate?busy", "/mutate?large", "/mutate?busy", "/validate"} {
		b.get(path)
	}
	// pprof's handlers would be on http.DefaultServeMux, if anything imported it.
	for _, path := range []string{"/debug/pprof/", "/metrics", "/"} {
		if status, _ := b.get(path); status != http.StatusNotFound {
			t.Errorf("%s gives %d on the serving port", path, status)
		}
	}
	for _, tt := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"test_requests_total", []string{"/mutate"}, 4},
		{"test_requests_total", []string{"/mutate", "200"}, 1},
		{"test_requests_total", []string{"/mutate", "429"}, 2},
		{"test_requests_rejected_total", []string{"/mutate", "busy"}, 2},
		{"test_requests_rejected_total", []string{"/mutate", "too-large"}, 1},
		{"test_requests_rejected_total", []string{"/validate"}, 0},
		{"test_request_duration_seconds", []string{"/mutate"}, 4},
		{"test_request_duration_seconds", []string{"/validate"}, 1},
	} {
		if got := b.value(tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
}

// TestHandshakes counts handshakes that fail, and logs none of them.
func TestHandshakes(t *testing.T) {
	b := start(t, map[string]http.HandlerFunc{"/": http.NotFound})
	if conn, err := tls.Dial("tcp", b.address, &tls.Config{RootCAs: x509.NewCertPool()}); err == nil {
		conn.Close()
		t.Error("a client with no CA trusts the server")
	}
	if _, err := tls.Dial("tcp", b.address, &tls.Config{RootCAs: b.pool, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 is spoken")
	}
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n"} {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if strings.Contains(string(answer), "400 Bad Request") != (text != "") {
			t.Errorf("%q is answered with %q", text, answer)
		}
	}
	for _, reason := range []string{"untrusted", "protocol", "closed", "plain"} {
		var got float64
		for end := time.Now().Add(time.Minute); time.Now().Before(end) &&
			got != 1; time.Sleep(5 * time.Millisecond) {
			got = b.value("test_tls_handshake_errors_total", reason)
		}
		if got != 1 {
			t.Errorf("%v handshakes failed as %s, want 1", got, reason)
		}
	}
	if text := b.log.String(); strings.Contains(text, "handshake") {
		t.Errorf("the log has\n%s", text)
	}
}

// TestSilence holds that who connects and says nothing keeps nobody from being served,
// nor the server from ending.
func TestSilence(t *testing.T) {
	b := start(t, map[string]http.HandlerFunc{"/": func(http.ResponseWriter, *http.Request) {}})
	for range 50 {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if status, _ := b.get("/"); status != http.StatusOK {
		t.Errorf("beside silent clients the answer is %d", status)
	}
	b.stop()
	select {
	case err := <-b.stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Error("the server does not end")
	}
}

// TestHeader sends headers in pieces, with and without more behind them, and one that is
// longer than any may be.
func TestHeader(t *testing.T) {
	b := start(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		_,
			_ = io.Copy(w, r.Body)
	}})
	for name, tt := range map[string]struct {
		pieces []string
		want   string
	}{
		"in pieces": {[]string{"P", "OST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n", "\r", "\nbo", "dy"},
			"200 OK"},
		"with all of it": {[]string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"}, "200 OK"},
		"without CR":     {[]string{"POST / HTTP/1.1\nHost: x\nContent-Length: 4\n\nbody"}, "200 OK"},
		"too long":       {[]string{"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10)}, "431"},
		"no HTTP":        {[]string{"hello\r\n\r\n"}, "400"},
	} {
		conn, err := tls.Dial("tcp", b.address, &tls.Config{RootCAs: b.pool})
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range tt.pieces {
			if _, err := io.WriteString(conn, piece); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer := make([]byte, 4<<10)
		n, err := io.ReadAtLeast(conn, answer, len("HTTP/1.1 200 OK"))
		if got := string(answer[:n]); err != nil || !strings.Contains(got, tt.want) || tt.want == "200 OK" &&
			!strings.HasSuffix(got, "body") {
			t.Errorf("%s: the answer is %q, error %v", name, got, err)
		}
		conn.Close()
	}
}

// TestLimits holds the limits against those of who calls: an API server uses
// connections that were idle for up to 90 seconds, and waits for up to 30.
func TestLimits(t *testing.T) {
	s := server.HTTP(http.NotFoundHandler(), logr.Discard(), server.NewHandshakes("test"))
	if s.IdleTimeout <= 90*time.Second {
		t.Errorf("idle connections are closed after %s, while an API server may be about to use them", s.IdleTimeout)
	}
	if s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second || s.ReadTimeout <= 0 ||
		s.ReadTimeout > 30*time.Second {
		t.Errorf("a slow client is waited for: %s for its header, %s for its request", s.ReadHeaderTimeout,
			s.ReadTimeout)
	}
	if s.WriteTimeout <= 30*time.Second || s.WriteTimeout > time.Minute {
		t.Errorf("an answer may take %s, an API server waits up to 30s", s.WriteTimeout)
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("a header may have %d bytes", s.MaxHeaderBytes)
	}
}

// TestAddressInUse is told as an error and not as a panic.
func TestAddressInUse(t *testing.T) {
	b := start(t, nil)
	second := server.NewWebhooks(server.Options{Address: b.address, Log: logr.Discard(), TLS: func(*tls.Config) {},
		Requests: server.NewRequests("test"), Handshakes: server.NewHandshakes("test")})
	if err := second.Start(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "listening for admission reviews: ") {
		t.Errorf("got error %v", err)
	}
}
