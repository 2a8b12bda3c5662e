package forge

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestProxyUnknown holds that a proxy's name is not taken for the forge's. Go reads the
// variables once per process, so the proxy is set here.
func TestProxyUnknown(t *testing.T) {
	at, err := Locate("team/app", GitLab, "https://git.example.com")
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSession(Options{Repository: at, Token: "tok-hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	s.inner.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.invalid:3128",
		User: url.UserPassword("me", "hunter3")})
	_, err = (&gitLab{s}).List(t.Context())
	var e *Error
	if !errors.As(err, &e) || e.Kind != Proxy || e.Unsure || !strings.Contains(err.Error(), "proxy.invalid") ||
		!strings.Contains(err.Error(), "HTTPS_PROXY") || strings.Contains(err.Error(), "hunter") {
		t.Errorf("error %v", err)
	}
}
