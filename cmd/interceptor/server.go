package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// The times. An EventListener sends at once and waits ten seconds for an answer;
// it never closes an idle connection, and an event that meets the closing of one
// is lost, so connections are kept for long.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 20 * time.Second
	writeTimeout  = 30 * time.Second // from the end of the header: reads and verifies, too
	idleTimeout   = 10 * time.Minute
	// stopTimeout bounds the wait for the last answers.
	stopTimeout = 20 * time.Second
)

// server listens for events and for probes.
//
// It is net/http's and not controller-runtime's webhook server, because that one
// registers handlers with a ServeMux, which redirects //verify to /verify: an
// EventListener would follow as a GET and trust the answer. It also cancels the
// requests in flight on SIGTERM.
type server struct {
	events, health net.Listener // health is nil where nobody wants it
	log            logr.Logger
	drainTime      time.Duration // how long events are still taken after SIGTERM
	draining       atomic.Bool
}

// listen opens the sockets, so that an address in use is known before anything is
// published.
func listen(ctx context.Context, events, health string, log logr.Logger) (*server, error) {
	s := &server{log: log}
	var config net.ListenConfig
	var err error
	if s.events, err = config.Listen(ctx, "tcp", events); err != nil {
		return nil, fmt.Errorf("listening for events: %w", err)
	}
	if health == "0" || health == "" {
		return s, nil
	}
	if s.health, err = config.Listen(ctx, "tcp", health); err != nil {
		_ = s.events.Close() // it has served nobody
		return nil, fmt.Errorf("listening for probes: %w", err)
	}
	return s, nil
}

// run serves until ctx ends, and then until all requests are answered. Meanwhile
// publish runs beside it.
func (s *server) run(ctx context.Context, handler http.Handler, secure func(*tls.Config), publish func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	config := &tls.Config{}
	secure(config)
	events, probes := s.server(s.lastCalls(handler)), s.server(s.probes())
	failed := make(chan error, 2)
	go func() { failed <- events.Serve(tls.NewListener(s.events, config)) }()
	s.log.Info("serving events", "address", s.events.Addr().String())
	if s.health != nil {
		go func() { failed <- probes.Serve(s.health) }()
		s.log.Info("serving probes", "address", s.health.Addr().String())
	}
	published := make(chan struct{})
	go func() { defer close(published); publish(ctx) }()

	var err error
	select {
	case <-ctx.Done():
		s.drain()
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	}
	cancel()
	<-published
	return errors.Join(err, stop(events, probes))
}

func (s *server) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(s.log), slog.LevelWarn),
	}
}

// lastCalls tells clients to leave once the server is draining.
func (s *server) lastCalls(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// probes answers for the Pod. Ready means that events are served; it does not ask
// for the ClusterInterceptor, which waits for Tekton Triggers.
func (s *server) probes() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/healthz" && r.URL.Path != "/readyz":
			http.NotFound(w, r)
		case r.URL.Path == "/readyz" && s.draining.Load():
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
		}
	})
}

func (s *server) drain() {
	s.draining.Store(true)
	s.log.Info("shutting down", "servingOnFor", s.drainTime.String())
	time.Sleep(s.drainTime)
}

func stop(servers ...*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("waiting for the last answers: %w", err))
		}
	}
	return errors.Join(errs...)
}
