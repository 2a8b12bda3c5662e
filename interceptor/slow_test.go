package interceptor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"

	"github.com/tekgate/tekgate/interceptor"
)

// slowed is a handler whose delays are counted.
type slowed struct {
	*interceptor.Handler

	mu     sync.Mutex
	delays []time.Duration
	wait   <-chan time.Time // what each delay waits for
}

func newSlowed(now func() time.Time, wait <-chan time.Time) *slowed {
	s := &slowed{wait: wait}
	s.Handler = interceptor.New(interceptor.Default(), interceptor.Options{Callers: anyone{}, Secrets: testSecrets(),
		Log: logr.Discard(), Now: now, After: s.after})
	return s
}

func (s *slowed) after(d time.Duration) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays = append(s.delays, d)
	return s.wait
}

func (s *slowed) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.delays)
}

// TestMismatchesAreSlowedDown: who guesses waits longer and longer, and nobody else does.
func TestMismatchesAreSlowedDown(t *testing.T) {
	now := time.UnixMilli(signedAt)
	s := newSlowed(func() time.Time { return now }, instantly(0))
	const ms = time.Millisecond
	want := slices.Repeat([]time.Duration{250 * ms}, 10)
	want = append(want, 500*ms, 1000*ms, 2000*ms, 4000*ms, 4000*ms)
	for range want {
		send(t, s, githubRequest(body("x")))
	}
	if !slices.Equal(s.delays, want) {
		t.Errorf("got  %v\nwant %v", s.delays, want)
	}
	s.delays = nil
	if got := send(t, s, githubRequest()); !got.Continue || len(s.delays) > 0 {
		t.Errorf("who has the secret waits %v, and gets %+v", s.delays, got)
	}
	send(t, s, githubRequest(secretRef("hook", "tutorial")))
	send(t, s, githubRequest(body("x")))
	now = now.Add(11 * time.Minute)
	send(t, s, githubRequest(body("x")))
	if want = []time.Duration{250 * ms, 4000 * ms, 250 * ms}; !slices.Equal(s.delays, want) {
		t.Errorf("another Secret, this one again, and after a pause: got %v, want %v", s.delays, want)
	}
}

// TestHeldAnswersHoldNobodyUp has more guesses than answers are held back, which never are
// sent: the others are answered at once, and the forge passes.
func TestHeldAnswersHoldNobodyUp(t *testing.T) {
	const guesses, held = 400, 32 // of one Secret
	s := newSlowed(at(signedAt), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	answered := make(chan struct{}, guesses)
	raw := wireOf(t, githubRequest(body("x")))
	for range guesses {
		all.Go(func() {
			s.ServeHTTP(httptest.NewRecorder(),
				httptest.NewRequestWithContext(ctx, http.MethodPost, interceptor.Path, bytes.NewReader(raw)))
			answered <- struct{}{}
		})
	}
	for range guesses - held {
		<-answered
	}
	for s.count() < held {
		time.Sleep(time.Millisecond)
	}
	large := githubRequest(body(string(bytes.Repeat([]byte(" "), 24<<20)) + "{}"))
	if got := send(t, s, large); got.Status.Message == "" || s.count() != held {
		t.Errorf("a large guess beside them: got %+v, and %d are held", got, s.count())
	}
	if got := send(t, s, githubRequest()); !got.Continue {
		t.Errorf("the forge beside them: got %+v", got)
	}
	select {
	case <-answered:
		t.Error("more answers came than expected")
	default:
	}
	cancel() // as when a caller goes
	all.Wait()
	s.ServeHTTP(httptest.NewRecorder(),
		httptest.NewRequestWithContext(ctx, http.MethodPost, interceptor.Path, bytes.NewReader(raw)))
	if got := s.count(); got != held+1 {
		t.Errorf("after they went, a guess is not held back: %d were, want %d", got, held+1)
	}
}

func wireOf(t *testing.T, req *v1beta1.InterceptorRequest) []byte {
	t.Helper()
	raw, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
