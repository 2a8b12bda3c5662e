// Package serve runs the HTTPS servers of Tekgate's programs.
//
// controller-runtime has a server for webhooks, and cert-manager's, Gatekeeper's
// and others' are that one. It lets its TLS be set and nothing else: connections
// that are idle close after 90 seconds, which is when an API server stops using
// them, so that a request now and then meets the closing of its connection and is
// lost; neither a request nor an answer has a time limit; the context of all
// requests ends with the manager's, so that a first signal cancels what is being
// answered; and every failed handshake is a line in the log. None of that can be
// mended from outside, since Start makes the http.Server and keeps it. So this is a
// server of our own. It is a webhook.Server all the same: a manager starts it
// before its caches and ends it after them, and handlers are registered with it as
// ever.
//
// The event server takes only HTTP from here: it listens for three things at once,
// and must not have a ServeMux.
package serve

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

// The times. An API server waits thirty seconds for a webhook at most, and uses a
// connection again that was idle for ninety; an EventListener waits ten seconds,
// and never closes an idle connection: whoever closes one while a request is on
// its way loses that request, so we close them late.
const (
	headerTimeout = 10 * time.Second // the handshake's, too
	readTimeout   = 20 * time.Second
	writeTimeout  = 40 * time.Second // from the end of the header: reads and judges, too
	idleTimeout   = 10 * time.Minute
	maxHeader     = 64 << 10
)

// StopTimeout bounds the wait for the last answers.
const StopTimeout = 20 * time.Second

// HTTP returns a server with the limits that all of ours have. What it has to say
// goes to log, except for handshakes that failed, which are counted.
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

// Options say how to serve.
type Options struct {
	Address    string            // host:port; the host may be empty
	TLS        func(*tls.Config) // sets the certificate; see certs.Authority.TLS
	Log        logr.Logger
	Requests   *Requests
	Handshakes *Handshakes
}

// Server serves webhooks over HTTPS.
type Server struct {
	options Options
	mux     *http.ServeMux
	started atomic.Bool
}

var _ webhook.Server = (*Server)(nil)

// New returns a server that does not listen yet.
func New(o Options) *Server { return &Server{options: o, mux: http.NewServeMux()} }

// NeedLeaderElection tells the manager to run it in every replica.
func (*Server) NeedLeaderElection() bool { return false }

// Register serves handler at path, and measures it. It panics where a path is
// registered twice.
func (s *Server) Register(path string, handler http.Handler) {
	s.mux.Handle(path, s.options.Requests.measure(path, handler))
}

// WebhookMux returns what tells the paths apart.
func (s *Server) WebhookMux() *http.ServeMux { return s.mux }

// StartedChecker fails until the server listens.
func (s *Server) StartedChecker() healthz.Checker {
	return func(*http.Request) error {
		if !s.started.Load() {
			return errors.New("the server does not listen yet")
		}
		return nil
	}
}

// tls returns how to shake hands. An API server keeps no session, so a ticket would
// be made for nothing with each; and an answer goes out in one record from the first
// request on, not in six of a packet's size each, which are as many calls to the
// kernel.
func (s *Server) tls() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true}
	s.options.TLS(config)
	return config
}

// Start serves until ctx ends, and returns when all requests are answered, which
// go on meanwhile: their contexts hold what ctx does, and do not end with it.
func (s *Server) Start(ctx context.Context) error {
	config := s.tls()
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		return fmt.Errorf("listening for admission reviews: %w", err)
	}
	server := HTTP(s.mux, s.options.Log, s.options.Handshakes)
	server.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	stopped := make(chan error, 1)
	forget := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTimeout)
		defer cancel()
		stopped <- server.Shutdown(last)
	})
	s.started.Store(true)
	s.options.Log.Info("serving admission reviews", "address", listener.Addr().String())
	if err := server.Serve(shake(listener, config, s.options.Handshakes)); !errors.Is(err, http.ErrServerClosed) {
		forget()
		return fmt.Errorf("serving admission reviews: %w", err)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("waiting for the last answers: %w", err)
	}
	return nil
}
