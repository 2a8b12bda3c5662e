package drain_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekgate/tekgate/internal/drain"
)

// server is a handler whose answers take some time, and the context that it serves
// in.
type server struct {
	requests *drain.Requests
	handler  http.Handler
	serving  context.Context
	signal   context.CancelFunc
	began    time.Time
}

func newServer(t *testing.T, most, takes time.Duration) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{signal: cancel}
	s.requests, s.serving = drain.Watch(ctx, most)
	s.handler = s.requests.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(takes) }))
	return s
}

// end sends the signal.
func (s *server) end() {
	s.began = time.Now()
	s.signal()
}

// ask sends a request and says whether the client was asked to leave.
func (s *server) ask() bool {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	return w.Header().Get("Connection") == "close"
}

// ended returns how long after the signal the server ended.
func (s *server) ended() time.Duration {
	<-s.serving.Done()
	return time.Since(s.began)
}

func isAbout(got, want time.Duration) bool { return got >= want && got <= want+200*time.Millisecond }

func TestDrain(t *testing.T) {
	tests := []struct {
		name        string
		most, takes time.Duration
		during      func(s *server)
		want        time.Duration
	}{
		{"nothing comes", time.Minute, 0, func(*server) {}, drain.Quiet},
		{"requests come for some time", time.Minute, 0, func(s *server) {
			for range 10 {
				time.Sleep(time.Second)
				s.ask()
			}
		}, 10*time.Second + drain.Quiet},
		{"a request takes long", time.Minute, 20 * time.Second, func(s *server) { s.ask() },
			20*time.Second + drain.Quiet},
		{"requests never end", 15 * time.Second, 0, func(s *server) {
			for s.serving.Err() == nil {
				time.Sleep(time.Second)
				s.ask()
			}
		}, 15 * time.Second},
		{"a request hangs", 15 * time.Second, time.Hour, func(s *server) { go s.ask() }, 15 * time.Second},
		{"less time than it takes", time.Second, 0, func(*server) {}, time.Second},
		{"no time", 0, 0, func(*server) {}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, tt.most, tt.takes)
				s.end()
				go tt.during(s)
				if got := s.ended(); !isAbout(got, tt.want) {
					t.Errorf("it ended after %s, want %s", got, tt.want)
				}
				time.Sleep(time.Hour) // what is under way ends
			})
		})
	}
}

// A request that came just before the signal does not count against the clients,
// who had no reason to leave then.
func TestQuietBeforeTheSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, time.Minute, 0)
		if s.requests.Begun() || s.ask() {
			t.Error("clients are asked to leave before the signal")
		}
		time.Sleep(time.Hour)
		if s.serving.Err() != nil {
			t.Error("it ended without a signal")
		}
		s.end()
		if !s.requests.Begun() || !s.ask() {
			t.Error("clients are not asked to leave")
		}
		if got := s.ended(); !isAbout(got, drain.Quiet) {
			t.Errorf("it ended after %s, want %s", got, drain.Quiet)
		}
	})
}

// A handler that panics is not in flight any more.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		requests, serving := drain.Watch(ctx, time.Hour)
		h := requests.Handler(http.HandlerFunc(func(http.ResponseWriter,
			*http.Request) {
			panic(http.ErrAbortHandler)
		}))
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		}()
		began := time.Now()
		cancel()
		<-serving.Done()
		if got := time.Since(began); !isAbout(got, drain.Quiet) {
			t.Errorf("it ended after %s, want %s", got, drain.Quiet)
		}
	})
}
