package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/tekgate/tekgate/internal/drain"
	"github.com/tekgate/tekgate/internal/serve"
)

// server listens for events and for probes.
//
// It is net/http's and not controller-runtime's webhook server, because that one
// registers handlers with a ServeMux, which redirects //verify to /verify: an
// EventListener would follow as a GET and trust the answer. It also cancels the
// requests in flight on SIGTERM.
type server struct {
	log       logr.Logger
	drainTime time.Duration // how long events are still taken after SIGTERM, at most
	requests  *drain.Requests

	handshakes *serve.Handshakes
	trusted    func() error // says why clients may not trust the certificate yet

	events net.Listener
	beside []endpoint
}

// endpoint is what is served beside events, over plain HTTP.
type endpoint struct {
	what, address string // no address, or 0, for not at all
	handler       http.Handler
	listener      net.Listener
}

// listen opens the sockets, so that an address in use is known before anything is
// published.
func (s *server) listen(ctx context.Context, events string, beside ...endpoint) error {
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

// close closes sockets that have served nobody.
func (s *server) close() {
	_ = s.events.Close()
	for _, e := range s.beside {
		_ = e.listener.Close()
	}
}

// run serves until ctx ends, and then until clients have gone elsewhere and all
// requests are answered. Meanwhile the workers run beside it.
func (s *server) run(ctx context.Context, handler http.Handler, secure func(*tls.Config), workers ...func(context.Context)) error {
	requests, serving := drain.Watch(ctx, s.drainTime)
	serving, cancel := context.WithCancel(serving)
	defer cancel()
	s.requests = requests
	config := &tls.Config{}
	secure(config)
	servers := []*http.Server{serve.HTTP(requests.Handler(handler), s.log, s.handshakes)}
	failed := make(chan error, 1+len(s.beside))
	go func() { failed <- servers[0].Serve(tls.NewListener(s.events, config)) }()
	s.log.Info("serving events", "address", s.events.Addr().String())
	for _, e := range s.beside {
		server := serve.HTTP(e.handler, s.log, s.handshakes)
		servers = append(servers, server)
		go func() { failed <- server.Serve(e.listener) }()
		s.log.Info("serving "+e.what, "address", e.listener.Addr().String())
	}
	var working sync.WaitGroup
	for _, work := range workers {
		working.Go(func() { work(serving) })
	}
	defer context.AfterFunc(ctx, func() { s.log.Info("shutting down", "servingOnForAtMost", s.drainTime.String()) })()

	var err error
	select {
	case <-serving.Done():
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	}
	cancel()
	working.Wait()
	return errors.Join(err, stop(servers...))
}

// probes answers for the Pod. Ready means that events are served, with a certificate
// that clients trust who trusted another replica's; it does not ask for the
// ClusterInterceptor, which waits for Tekton Triggers.
func (s *server) probes() http.Handler {
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

func stop(servers ...*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), serve.StopTimeout)
	defer cancel()
	var errs []error
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("waiting for the last answers: %w", err))
		}
	}
	return errors.Join(errs...)
}
