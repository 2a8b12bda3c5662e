package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patient is a transport that repeats what failed for the moment, and waits as
// long as the registry asks.
type patient struct {
	inner   http.RoundTripper
	options Options
	// waiting holds an element for each request that waits for its answer. A check asks for all
	// parts of an image at the same time, and registries refuse whoever asks too much at once.
	waiting chan struct{}
}

// newPatient returns a transport that repeats what failed.
func newPatient(inner http.RoundTripper, options Options) *patient {
	return &patient{inner: inner, options: options, waiting: make(chan struct{}, requestsPerJob*options.Jobs)}
}

const requestsPerJob = 8

// momentary are the answers after which asking again may help.
var momentary = []int{
	http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
	http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

func (p *patient) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" && !p.options.plain(request.URL.Host) {
		return nil, remediedError{fmt.Errorf("%s would be spoken to without TLS, which only --plain-http %s allows",
			request.URL.Host, request.URL.Host), "serve it over HTTPS, or allow HTTP with that flag"}
	}
	for attempt := 1; ; attempt++ {
		response, err := p.once(request)
		if attempt == p.options.Attempts || !repeatable(request) || !worthRepeating(response, err) {
			return response, err
		}
		wait, ok := p.wait(attempt, response)
		if !ok {
			return response, err
		}
		if response != nil {
			_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
			_ = response.Body.Close()
		}
		if err := sleep(request.Context(), wait); err != nil {
			return nil, err
		}
		if request.GetBody != nil {
			body, err := request.GetBody()
			if err != nil {
				return nil, err
			}
			request = request.Clone(request.Context())
			request.Body = body
		}
	}
}

// once makes a request, and gives it up where nothing moves.
func (p *patient) once(request *http.Request) (*http.Response, error) {
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	ctx, cancel := context.WithCancelCause(request.Context())
	watch := &watched{ctx: ctx, cancel: cancel, allow: p.options.Stall}
	watch.timer = time.AfterFunc(watch.allow, func() { cancel(errStalled) })
	request = request.Clone(ctx)
	if request.Body != nil && request.Body != http.NoBody {
		request.Body = &watchedBody{ReadCloser: request.Body, watch: watch}
	}
	response, err := p.inner.RoundTrip(request)
	if err != nil {
		err = watch.reason(err)
		watch.end()
		return nil, err
	}
	response.Body = &watchedBody{ReadCloser: response.Body, watch: watch, last: true}
	return response, nil
}

// errStalled is why a request was given up.
var errStalled = errors.New("the connection carried nothing for too long")

// watched is a request that is given up when nothing moves.
type watched struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	allow  time.Duration
}

func (w *watched) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// reason tells a stall from what came of it.
func (w *watched) reason(err error) error {
	if errors.Is(context.Cause(w.ctx), errStalled) {
		return errStalled
	}
	return err
}

// watchedBody is what a request sends or gets. The end of what it gets is the
// end of the watch.
type watchedBody struct {
	io.ReadCloser
	watch *watched
	last  bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.timer.Reset(b.watch.allow)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.watch.reason(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.last {
		b.watch.end()
	}
	return err
}

// repeatable reports whether a request can be sent again as it is. The upload
// of a layer cannot, because it streams: a mover begins it again.
func repeatable(request *http.Request) bool {
	return request.Body == nil || request.Body == http.NoBody || request.GetBody != nil
}

func worthRepeating(response *http.Response, err error) bool {
	if err != nil {
		return broken(err)
	}
	return slices.Contains(momentary, response.StatusCode)
}

// broken reports whether a connection was lost half-way, which a filtered or
// overloaded line does to anybody now and then, or carried nothing. A host that refuses
// connections or lets none come about, or that is unknown, is not among these. What was being sent
// when the other end closed the connection meets one that the client has closed as well.
func broken(err error) bool {
	var dialing *net.OpError
	if errors.As(err, &dialing) && dialing.Op == "dial" {
		return false
	}
	var late net.Error
	return errors.As(err, &late) && late.Timeout() || errors.Is(err, errStalled) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "server sent GOAWAY")
}

// wait says how long to wait after an attempt; ok is false where the registry
// asks for longer than anybody would.
func (p *patient) wait(attempt int, response *http.Response) (wait time.Duration, ok bool) {
	if response != nil {
		if asked := retryAfter(response.Header.Get("Retry-After"), time.Now()); asked > 0 {
			return asked, asked <= p.options.MaxWait
		}
	}
	wait = min(p.options.Backoff<<(attempt-1), p.options.MaxWait)
	return wait + rand.N(wait/4+1), true
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return at.Sub(now)
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
