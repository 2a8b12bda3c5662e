package forge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	requestTimeout = 30 * time.Second // of a request with its repetition
	defaultWait    = 10 * time.Second
	maxAnswer      = 8 << 20 // GitLab's lists of deliveries have whole payloads
	maxError       = 64 << 10
	maxPages       = 100
)

// session sends requests to the API of one forge, for one repository. It is the transport of
// the libraries, too.
type session struct {
	at      Repository
	base    *url.URL // of the API, without a slash at the end
	token   string
	sha     string // the commit whose status is reported; empty for hooks
	maxWait time.Duration
	// repeats allows a POST to be repeated: doing it twice does no harm.
	repeats bool
	inner   http.RoundTripper
	client  *http.Client

	mu     sync.Mutex
	hidden []string // secrets of hooks that were sent
}

func newSession(o Options) (*session, error) {
	base, err := url.Parse(o.Repository.API)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" ||
		base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("reading --api-url %q: it has to be https://HOST, without a user or a query",
			withoutQuery(withoutUser(o.Repository.API)))
	}
	if base.Scheme == "http" && !o.PlainHTTP && !isLoopback(base.Hostname()) {
		return nil, fmt.Errorf(
			"the token would be sent to %s without encryption: use https, or pass --plain-http if the network is trusted",
			printable(base.Host))
	}
	token := strings.TrimSpace(o.Token)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("the token is empty or has blanks or line ends in it: pass the token alone")
	}
	roots, err := trusted(o.CA)
	if err != nil {
		return nil, err
	}
	if err := checkProxy(base.Scheme); err != nil {
		return nil, err
	}
	s := &session{at: o.Repository, base: base, token: token, maxWait: o.MaxWait}
	if s.maxWait == 0 {
		s.maxWait = defaultWait
	}
	s.inner = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 256 << 10,
		IdleConnTimeout: 30 * time.Second,
	}
	s.client = &http.Client{Transport: s, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, nil
}

// trusted returns the system's authorities and those of a PEM text; nil is the system's alone.
func trusted(text []byte) (*x509.CertPool, error) {
	if len(text) == 0 {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("reading --ca-file: it holds no certificate in PEM")
	}
	return roots, nil
}

// checkProxy refuses a proxy variable that Go would ignore. Its value may have a password, so
// it is in no error.
func checkProxy(scheme string) error {
	for _, name := range []string{strings.ToUpper(scheme) + "_PROXY", scheme + "_proxy"} {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if !strings.Contains(value, "://") {
			u, err = url.Parse("http://" + value)
		}
		if err != nil || u.Host == "" {
			return fmt.Errorf("reading the variable %s: it is no URL of a proxy: set it to http://HOST:PORT, or unset it", name)
		}
		return nil
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func withoutUser(address string) string {
	if u, err := url.Parse(address); err == nil {
		u.User = nil
		return u.String()
	}
	return "…"
}

// secrets returns what must not be in an error.
func (s *session) secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	secrets := []string{s.token}
	if _, password, found := strings.Cut(s.token, ":"); found && password != "" {
		secrets = append(secrets, password)
	}
	return append(secrets, s.hidden...)
}

// hide keeps a hook's secret out of errors: a forge may repeat what it was sent.
func (s *session) hide(secret string) {
	if secret == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = append(s.hidden, secret, url.QueryEscape(secret))
}

// RoundTrip implements http.RoundTripper. An answer that is no success becomes an *Error.
func (s *session) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != s.base.Scheme || !strings.EqualFold(request.URL.Host, s.base.Host) {
		e := s.problem(Redirected)
		e.Message = s.clean(withoutQuery(request.URL.String()))
		return nil, e
	}
	request = request.Clone(request.Context())
	abouts[s.at.Forge].authorize(request.Header, s.token)
	request.Header.Set("User-Agent", "tekgate")
	for attempt := 1; ; attempt++ {
		response, err := s.inner.RoundTrip(request)
		if err != nil && errors.Is(request.Context().Err(), context.Canceled) {
			return nil, context.Canceled
		}
		if err != nil {
			return nil, s.failure(err)
		}
		if response.StatusCode/100 == 2 {
			response.Body = &boundedBody{response.Body, maxAnswer}
			return response, nil
		}
		problem := s.read(response)
		wait, again := s.again(request, response, problem)
		if attempt > 1 || !again {
			return nil, problem
		}
		select {
		case <-request.Context().Done():
			return nil, problem
		case <-time.After(wait):
		}
		if request.GetBody != nil {
			if request.Body, err = request.GetBody(); err != nil {
				return nil, problem
			}
		}
	}
}

// again reports whether to repeat a request, and after which time. A POST that failed at the
// server may have made a hook, so it is repeated only after 429.
func (s *session) again(request *http.Request, response *http.Response, problem *Error) (time.Duration, bool) {
	const pause = time.Second
	if request.Body != nil && request.Body != http.NoBody && request.GetBody == nil {
		return 0, false
	}
	switch {
	case response.StatusCode == http.StatusTooManyRequests:
		if problem.Until.IsZero() {
			return pause, true
		}
		wait := time.Until(problem.Until)
		return max(wait, 0), wait <= s.maxWait
	case response.StatusCode >= http.StatusInternalServerError && (s.repeats || request.Method != http.MethodPost):
		wait := max(retryAfter(response.Header.Get("Retry-After"), time.Now()), min(pause, s.maxWait))
		return wait, wait <= s.maxWait
	}
	return 0, false
}

// read makes an error of an answer, and closes it.
func (s *session) read(response *http.Response) *Error {
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxError))
	if err != nil {
		text = nil // the status says enough
	}
	return s.refused(response, forgeMessage(text), time.Now())
}

// forgeMessage returns what a forge says in the body of an error. Other bodies, such as a
// proxy's page, are left out.
func forgeMessage(text []byte) string {
	var body map[string]any
	if json.Unmarshal(text, &body) != nil {
		return ""
	}
	var parts []string
	for _, key := range []string{"message", "error", "error_description", "error_message", "scope", "errors", "detail"} {
		parts = append(parts, words(body[key])...)
	}
	return strings.Join(parts, "; ")
}

// words returns the texts in a value, such as {"url":["is blocked"]}.
func words(value any) []string {
	switch v := value.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, words(item)...)
		}
		return all
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		var all []string
		for _, key := range keys {
			for _, text := range words(v[key]) {
				all = append(all, key+": "+text)
			}
		}
		return all
	}
	return nil
}

// boundedBody fails when more than left bytes are read from it.
type boundedBody struct {
	io.ReadCloser
	left int64
}

var errLarge = errors.New("the answer is too large")

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return at.Sub(now)
	}
	return 0
}

func epoch(header string) time.Time {
	seconds, err := strconv.ParseInt(header, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// call sends a request to a path below the API's base, whose segments are escaped, and
// decodes the answer into out, if that is not nil. A body of url.Values is sent as a form,
// any other as JSON.
func (s *session) call(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	kind := "application/json"
	switch v := in.(type) {
	case nil:
	case url.Values:
		body, kind = strings.NewReader(v.Encode()), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.base.String()+path, body)
	if err != nil {
		return nil, s.problem(NotAPI)
	}
	request.Header.Set("Accept", "application/json")
	if in != nil {
		request.Header.Set("Content-Type", kind)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, s.wrap(ctx, err)
	}
	defer response.Body.Close()
	if out == nil {
		return response.Header, nil
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		if method == http.MethodGet {
			return nil, s.wrap(ctx, err)
		}
		return nil, s.wrote(ctx, err)
	}
	return response.Header, nil
}

// wrote wraps the error of a request that writes. An answer that makes no sense, in place of
// a refusal, may come after the write.
func (s *session) wrote(ctx context.Context, err error) error {
	wrapped := s.wrap(ctx, err)
	var e *Error
	if errors.As(wrapped, &e) && (e.Kind == NotAPI || e.Kind == Cut) {
		e.Unsure = true
	}
	return wrapped
}

// listed returns an error where an answer is no list of hooks: null, or hooks without an id.
func (s *session) listed(null bool, hooks []Hook) error {
	if !null && !slices.ContainsFunc(hooks, func(h Hook) bool { return h.ID == "" || h.ID == "0" }) {
		return nil
	}
	e := s.problem(NotAPI)
	e.Message = "its list has no hooks of the expected shape"
	return e
}

// wrap makes an *Error of what http.Client or a library returned. Their own texts have URLs
// and parts of bodies, so they are left out.
func (s *session) wrap(ctx context.Context, err error) error {
	var own *Error
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case errors.Is(err, errLarge):
		e := s.problem(NotAPI)
		e.Message = errLarge.Error()
		return e
	case errors.Is(err, io.ErrUnexpectedEOF):
		return s.problem(Cut)
	case errors.As(err, &syntax), errors.As(err, &mistyped), errors.Is(err, io.EOF):
		e := s.problem(NotAPI)
		e.Message = "it is no JSON of the expected shape"
		return e
	}
	return s.failure(err)
}

// pages calls next with the numbers of pages until it has none left.
func (s *session) pages(next func(page int) (more bool, err error)) error {
	for page := 1; page <= maxPages; page++ {
		if more, err := next(page); err != nil || !more {
			return err
		}
	}
	e := s.problem(NotAPI)
	e.Message = fmt.Sprintf("its list has more than %d pages", maxPages)
	return e
}
