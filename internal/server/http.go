package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// The limits. An API server waits at most thirty seconds for a webhook, and reuses a
// connection that was idle for ninety. An EventListener waits ten seconds, and never closes
// an idle connection. A server that closes a connection while a request is on its way loses
// that request, so ours close idle connections late.
const (
	headerTimeout = 10 * time.Second // the handshake's, too
	readTimeout   = 20 * time.Second
	writeTimeout  = 40 * time.Second // from the end of the header: reads and judges, too
	idleTimeout   = 10 * time.Minute
	maxHeader     = 64 << 10
	stopTimeout   = 20 * time.Second // for the last answers
)

// HTTP returns an http.Server with the limits that all of ours have. Its errors go to log,
// except for failed handshakes, which are counted.
func HTTP(handler http.Handler, log logr.Logger, handshakes *Handshakes) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          handshakes.logTo(log),
	}
}

// Serve serves until ctx ends, and returns when all requests are answered.
func Serve(ctx context.Context, s *http.Server, listener net.Listener) error {
	stopped := make(chan error, 1)
	forget := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		stopped <- s.Shutdown(last)
	})
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		forget()
		return fmt.Errorf("serving: %w", err)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("waiting for the last answers: %w", err)
	}
	return nil
}

// Options are the settings of a webhook server.
type Options struct {
	Address    string            // host:port; the host may be empty
	TLS        func(*tls.Config) // sets the certificate; see certs.Authority.TLS
	Log        logr.Logger
	Requests   *Requests
	Handshakes *Handshakes
}

// Webhooks serves admission webhooks over HTTPS, in place of controller-runtime's server,
// of which only the TLS settings can be changed. That one closes idle connections after 90
// seconds, which is when an API server stops using them, so that a request may meet the
// closing of its connection and be lost. It limits the time of neither requests nor
// answers, cancels the requests in flight at the first signal, and logs every failed
// handshake. A manager starts and stops both in the same order.
type Webhooks struct {
	EveryReplica
	options Options
	mux     *http.ServeMux
	started atomic.Bool
}

var _ webhook.Server = (*Webhooks)(nil)

// NewWebhooks returns a server that does not listen yet.
func NewWebhooks(o Options) *Webhooks { return &Webhooks{options: o, mux: http.NewServeMux()} }

// Register serves handler at path, and measures it. It panics if a path is registered
// twice.
func (s *Webhooks) Register(path string, handler http.Handler) {
	s.mux.Handle(path, s.options.Requests.measure(path, handler))
}

// WebhookMux returns the multiplexer of the paths.
func (s *Webhooks) WebhookMux() *http.ServeMux { return s.mux }

// StartedChecker fails until the server listens.
func (s *Webhooks) StartedChecker() healthz.Checker {
	return func(*http.Request) error {
		if !s.started.Load() {
			return errors.New("the server does not listen yet")
		}
		return nil
	}
}

// tls returns the TLS settings. An API server resumes no session, so tickets would be made
// for nothing. An answer is sent in one record from the first request on, and not in six
// records of one packet, which would take six system calls.
func (s *Webhooks) tls() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true}
	s.options.TLS(config)
	return config
}

// Start serves until ctx ends, and returns when all requests are answered. Their contexts
// have the values of ctx, and do not end with it.
func (s *Webhooks) Start(ctx context.Context) error {
	config := s.tls()
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		return fmt.Errorf("listening for admission reviews: %w", err)
	}
	server := HTTP(s.mux, s.options.Log, s.options.Handshakes)
	server.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	s.started.Store(true)
	s.options.Log.Info("serving admission reviews", "address", listener.Addr().String())
	return Serve(ctx, server, tls.NewListener(listener, config))
}
