package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/internal/drain"
	"github.com/tekgate/tekgate/internal/server"
)

// eventServer listens for events and for probes.
//
// It is net/http's and not controller-runtime's webhook server, because that one
// registers handlers with a ServeMux, which redirects //verify to /verify: an
// EventListener would follow as a GET and trust the answer. It also cancels the
// requests in flight on SIGTERM.
type eventServer struct {
	log       logr.Logger
	drainTime time.Duration // how long events are still taken after SIGTERM, at most
	requests  *drain.Requests

	handshakes *server.Handshakes
	trusted    func() error // returns why clients may not trust the certificate yet

	events net.Listener
	beside []endpoint
}

// endpoint is served over plain HTTP, beside events.
type endpoint struct {
	what, address string // no address, or 0, for not at all
	handler       http.Handler
	listener      net.Listener
}

// listen opens the sockets, so that an address in use is known before anything is
// published.
func (s *eventServer) listen(ctx context.Context, events string, beside ...endpoint) error {
	var config net.ListenConfig
	var err error
	if s.events, err = config.Listen(ctx, "tcp", events); err != nil {
		return fmt.Errorf("listening for events: %w", err)
	}
	for _, e := range beside {
		if e.address == "0" || e.address == "" {
			continue
		}
		if e.listener, err = config.Listen(ctx, "tcp", e.address); err != nil {
			s.close()
			return fmt.Errorf("listening for %s: %w", e.what, err)
		}
		s.beside = append(s.beside, e)
	}
	return nil
}

// close closes sockets that were not served yet.
func (s *eventServer) close() {
	_ = s.events.Close()
	for _, e := range s.beside {
		_ = e.listener.Close()
	}
}

// run serves until ctx ends, and then until clients have gone elsewhere and all requests
// are answered. The workers run until then.
func (s *eventServer) run(ctx context.Context, handler http.Handler, secure func(*tls.Config),
	workers ...func(context.Context)) error {
	requests, draining := drain.Watch(ctx, s.drainTime)
	s.requests = requests
	config := &tls.Config{}
	secure(config)
	all, serving := errgroup.WithContext(draining)
	all.Go(func() error {
		return server.Serve(serving, server.HTTP(requests.Handler(handler), s.log, s.handshakes),
			tls.NewListener(s.events, config))
	})
	s.log.Info("serving events", "address", s.events.Addr().String())
	for _, e := range s.beside {
		all.Go(func() error { return server.Serve(serving, server.HTTP(e.handler, s.log, s.handshakes), e.listener) })
		s.log.Info("serving "+e.what, "address", e.listener.Addr().String())
	}
	for _, work := range workers {
		all.Go(func() error { work(serving); return nil })
	}
	defer context.AfterFunc(ctx, func() { s.log.Info("shutting down", "servingOnForAtMost", s.drainTime.String()) })()
	return all.Wait()
}

// probes answers for the Pod. Ready means that events are served, with a certificate
// that clients trust who trusted another replica's; it does not ask for the
// ClusterInterceptor, which waits for Tekton Triggers.
func (s *eventServer) probes() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/healthz" && r.URL.Path != "/readyz":
			http.NotFound(w, r)
		case r.URL.Path == "/readyz" && s.requests.Begun():
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		case r.URL.Path == "/readyz" && s.trusted() != nil:
			http.Error(w, s.trusted().Error(), http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
		}
	})
}
