// Package drain lets a server end once its clients have gone elsewhere.
//
// A cluster goes on sending requests to a Pod that was told to end, until every
// node has learnt of it, and a client keeps its connections for longer than that.
// A server that ends at once loses those requests, and nobody sends them again:
// neither an EventListener nor an API server. How long it takes is not known, so
// it is not waited for a fixed time but until no request has come for a while, and
// none is being answered. While it waits the server answers as ever, is not ready,
// and asks its clients to open new connections.
package drain

import (
	"context"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Quiet is for how long no request may have come before a server ends. Nodes learn
// of an endpoint that goes within a second or two, and a client that was asked to
// leave opens its next connection elsewhere.
const Quiet = 5 * time.Second

const pollInterval = 100 * time.Millisecond

// Requests counts the requests of a server. It is safe for use by several
// goroutines.
type Requests struct {
	signal <-chan struct{} // closed once the server was told to end

	mu       sync.Mutex
	inFlight int
	last     time.Time // when a request came or was answered
}

// Watch returns the counter of a server, and the context that the server is to
// serve in: it ends after ctx, when no request is in flight and none has come for
// Quiet, but at the latest when the time most has passed.
func Watch(ctx context.Context, most time.Duration) (*Requests, context.Context) {
	r := &Requests{signal: ctx.Done()}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		defer stop()
		r.wait(most)
	})
	return r, serving
}

// Begun says whether the server was told to end: then it is not ready.
func (r *Requests) Begun() bool {
	select {
	case <-r.signal:
		return true
	default:
		return false
	}
}

// Handler counts the requests to next, and tells clients to close their
// connections once the server was told to end.
func (r *Requests) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.count(1)
		defer r.count(-1)
		if r.Begun() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, request)
	})
}

func (r *Requests) count(change int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight += change
	r.last = time.Now()
}

// wait returns when all is quiet, or the time most has passed.
func (r *Requests) wait(most time.Duration) {
	began := time.Now()
	quiet := func(context.Context) (bool, error) { return r.quiet(began), nil }
	_ = wait.PollUntilContextTimeout(context.Background(), pollInterval, most, true, quiet)
}

// quiet says whether nothing has happened for long, also since the signal: until
// then the cluster had no reason to send requests elsewhere.
func (r *Requests) quiet(began time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := began
	if r.last.After(began) {
		since = r.last
	}
	return r.inFlight == 0 && time.Since(since) >= Quiet
}
