package resolve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// fetcher gets definitions by HTTP.
type fetcher struct {
	client  *http.Client
	options Options
}

func newFetcher(options Options) (*fetcher, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := options.Registry.CAFile; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the CA file: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("reading the CA file %s: it holds no certificate in PEM form", file)
		}
	}
	f := &fetcher{options: options}
	f.client = &http.Client{CheckRedirect: f.redirect, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, Control: noLinkLocal}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 1 << 20,
	}}
	return f, nil
}

// noLinkLocal keeps a file that a stranger wrote from reading the metadata of a cloud's machine.
func noLinkLocal(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err == nil && at.Addr().Unmap().IsLinkLocalUnicast() {
		return errLinkLocal
	}
	return nil
}

var errLinkLocal = errors.New("it has a link-local address, where machines keep their metadata")

// mayPlain returns an error for a URL that would be asked without TLS and may not.
func (o Options) mayPlain(u *url.URL) error {
	switch ip := net.ParseIP(u.Hostname()); {
	case u.Scheme == "https", u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()),
		u.Scheme == "http" && slices.Contains(o.Registry.PlainHTTP, u.Host):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%s would be asked without TLS: use https, or allow it with --plain-http %s", u.Host, u.Host)
	}
	return fmt.Errorf("the scheme %q is not supported: use https", u.Scheme)
}

func (f *fetcher) redirect(next *http.Request, before []*http.Request) error {
	if len(before) >= 10 {
		return errors.New("it was redirected 10 times")
	}
	return f.options.mayPlain(next.URL)
}

// mirrored returns a URL with its beginning replaced as the options say.
func (o Options) mirrored(address string) string {
	best := ""
	for from := range o.URLs {
		rest, fits := strings.CutPrefix(address, from)
		whole := strings.HasSuffix(from, "/") || rest == "" || strings.ContainsAny(rest[:1], "/?")
		if fits && whole && len(from) > len(best) {
			best = from
		}
	}
	if best == "" {
		return address
	}
	return o.URLs[best] + strings.TrimPrefix(address, best)
}

// fetch gets a URL, or what takes its place.
func (f *fetcher) fetch(ctx context.Context, address string) (fetched, error) {
	address = f.options.mirrored(address)
	shown := redacted(address)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fetched{}, fmt.Errorf("%q is no URL: correct the param url", shown)
	}
	if err := f.options.mayPlain(u); err != nil {
		return fetched{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fetched{}, fmt.Errorf("%q is no URL: correct the param url", shown)
	}
	request.Header.Set("User-Agent", "tekgate")
	response, err := f.client.Do(request)
	if err != nil {
		return fetched{}, f.failed(shown, u.Host, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fetched{}, answered(shown, response)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, MaxSize+1))
	switch {
	case err != nil:
		return fetched{}, unreachable{fmt.Errorf("fetching %s: the connection broke before the end: %w: try again", shown,
			cause(err))}
	case len(text) > MaxSize:
		return fetched{}, fmt.Errorf("fetching %s: it is larger than %d MiB: no definition is that large, check the URL", shown,
			MaxSize>>20)
	}
	return fetched{text: text, from: shown}, nil
}

// cause returns an error without the URL, which may hold a password.
func cause(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

func (f *fetcher) failed(shown, host string, err error) error {
	err = cause(err)
	var authority x509.UnknownAuthorityError
	var named x509.HostnameError
	var invalid x509.CertificateInvalidError
	remedy, away := "check the network and the proxy, or name a mirror with --resolve-url", true
	switch {
	case errors.As(err, &authority):
		err, remedy, away = authority, "name its certificate authority with --ca-file", false
	case errors.As(err, &named), errors.As(err, &invalid):
		remedy, away = "have "+host+" serve a valid certificate", false
	case errors.Is(err, errLinkLocal):
		err, remedy, away = errLinkLocal, "correct the URL", false
	case strings.Contains(err.Error(), "--plain-http"), strings.Contains(err.Error(), "redirected"):
		remedy, away = "correct the URL", false
	}
	err = fmt.Errorf("fetching %s: %w: %s", shown, err, remedy)
	if away {
		return unreachable{err}
	}
	return err
}

// answered is the error for an answer other than 200.
func answered(shown string, response *http.Response) error {
	remedy := "look at the server's log"
	switch code := response.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		remedy = "tekgate has no credentials for it: name a mirror that needs none with --resolve-url"
	case code == http.StatusNotFound || code == http.StatusGone:
		remedy = "correct the reference, or name the right server with --resolve-url"
	case code >= 500 || code == http.StatusTooManyRequests:
		remedy = "try again later"
	}
	err := fmt.Errorf("fetching %s: the server answered %d %s: %s", shown, response.StatusCode,
		http.StatusText(response.StatusCode), remedy)
	if response.StatusCode >= 500 {
		return unreachable{err}
	}
	return err
}
