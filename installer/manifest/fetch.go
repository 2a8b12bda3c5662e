package manifest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/problems"
)

// fetchTimeout bounds the download of one manifest.
const fetchTimeout = 2 * time.Minute

// maxRedirects is what net/http allows by default.
const maxRedirects = 10

func isURL(source string) bool { return isPlain(source) || hasScheme(source, "https") }

// isPlain reports whether a source is read without TLS.
func isPlain(source string) bool { return hasScheme(source, "http") }

// hasScheme ignores the case of the scheme, as net/http does.
func hasScheme(source, scheme string) bool {
	return len(source) > len(scheme)+3 && strings.EqualFold(source[:len(scheme)+3], scheme+"://")
}

// printable returns a source without anything in it that may be secret: the user
// information and the query of a URL, where passwords and tokens are.
func printable(source string) string {
	scheme, _, found := strings.Cut(source, "://")
	if !found {
		return source
	}
	u, err := url.Parse(source)
	if err != nil {
		return scheme + "://…" // which part is the password is unknown
	}
	if u.User != nil {
		u.User = url.User("xxxxx")
	}
	if u.RawQuery != "" {
		u.RawQuery = "xxxxx"
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
}

func (l Loader) loadURL(ctx context.Context, source string) ([]*unstructured.Unstructured, error) {
	if isPlain(source) && !l.PlainHTTP {
		return nil, errors.New("http:// is not encrypted, so that anyone on the way can change the manifest: " +
			"use https://, or pass --plain-http-manifests and pin the manifest by --sha256")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return nil, errors.New("it is not a URL") // the reason may quote a part of the password
	}
	client := http.Client{Timeout: fetchTimeout, CheckRedirect: checkRedirect, Transport: l.Transport}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf(
			"%w: where that host is out of reach, leave the flag out to use the embedded release",
			reasonOf(err),
		)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	return l.read(response.Body)
}

// checkRedirect refuses to leave TLS: what an https source names must come over TLS to
// the end.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("it was redirected more than %d times", maxRedirects)
	}
	if next.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https" {
		return fmt.Errorf("it redirects from https://%s to %s://%s, which is not encrypted: name another source",
			via[len(via)-1].URL.Host, next.URL.Scheme, next.URL.Host)
	}
	return nil
}

// reasonOf returns the reason of a failed request, which is printed.
func reasonOf(err error) error {
	reason := problems.Reason(err)
	if strings.Contains(reason.Error(), "Location header") { // it is quoted, and may be a signed URL
		return errors.New("it redirects to what is not a URL")
	}
	return reason
}
