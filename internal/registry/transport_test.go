package registry

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What is not this machine is never spoken to in clear text unasked, whatever
// the library, a redirect or a token server would like.
func TestPlainHTTP(t *testing.T) {
	tests := []struct {
		url  string
		sent bool
	}{
		{"https://registry.example.com/v2/", true},
		{"http://registry.example.com/v2/", false},
		{"http://10.0.0.1:5000/v2/", false},
		{"http://localhost.example.com/v2/", false},
		{"http://localhost:5000/v2/", true},
		{"http://127.0.0.1:5000/v2/", true},
		{"http://[::1]:5000/v2/", true},
		{"http://allowed.example.com:5000/v2/", true},
		{"http://allowed.example.com/v2/", false},
	}
	for _, tt := range tests {
		sent := false
		transport := newPatient(roundTrip(func(*http.Request) (*http.Response, error) {
			sent = true
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}), Options{PlainHTTP: []string{"allowed.example.com:5000"}}.withDefaults())
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if sent != tt.sent || (err == nil) != tt.sent || err != nil && !strings.Contains(err.Error(), "--plain-http") {
			t.Errorf("%s: sent %v, error %v", tt.url, sent, err)
		}
	}
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "soon": 0,
		"-5": -5 * time.Second,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("Retry-After %q is %s, want %s", header, got, want)
		}
	}
}

// late is an error of a connection that carried nothing for too long.
type late struct{}

func (late) Error() string   { return "TLS handshake timeout" }
func (late) Timeout() bool   { return true }
func (late) Temporary() bool { return true }

// What carried nothing is repeated, and a host that no connection reaches is not.
func TestTimeouts(t *testing.T) {
	for err, want := range map[error]int{late{}: 3, &net.OpError{Op: "dial", Err: late{}}: 1} {
		asked := 0
		transport := newPatient(roundTrip(func(*http.Request) (*http.Response, error) {
			asked++
			return nil, err
		}), Options{Attempts: 3, Backoff: time.Millisecond}.withDefaults())
		request, problem := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://r.example.com/v2/", nil)
		if problem != nil {
			t.Fatal(problem)
		}
		if response, err := transport.RoundTrip(request); err == nil {
			_ = response.Body.Close()
			t.Error("there is no error")
		}
		if asked != want {
			t.Errorf("%T: %d attempts, want %d", err, asked, want)
		}
	}
	if c, err := newClient(Options{}); err != nil || c.once.(*http.Transport).ResponseHeaderTimeout != 0 {
		t.Errorf("error %v: an answer that is late is given up before Stall, and is not asked for again", err)
	}
}
