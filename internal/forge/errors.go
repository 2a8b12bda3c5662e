package forge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tekgate/tekgate/internal/display"
)

// Kind says what went wrong at a forge.
type Kind string

// The kinds.
const (
	UnknownHost  Kind = "unknown-host"
	Unreachable  Kind = "unreachable"
	Untrusted    Kind = "untrusted-certificate"
	Unauthorized Kind = "unauthorized"
	Forbidden    Kind = "forbidden"
	NotVisible   Kind = "not-visible"
	Limited      Kind = "rate-limited"
	Invalid      Kind = "invalid"
	Redirected   Kind = "redirected"
	Failed       Kind = "failed"
	NotAPI       Kind = "not-the-api"
	Cut          Kind = "cut-short"
	Proxy        Kind = "proxy"
)

// Error is a request that failed. Its text is one sentence with a remedy, without the token,
// the hook's secret or a URL's query.
type Error struct {
	Kind       Kind
	Status     int       // of the answer; 0 without one
	Message    string    // the forge's own, or the cause; printable and short
	Until      time.Time // when the rate limit ends; zero if unknown
	Host       string    // of the API
	Forge      Forge
	Repository string
	// SHA is the commit whose status was to be reported; empty for what is about hooks.
	SHA string
	// Authorities says how to pass an authority; empty is --ca-file.
	Authorities string
	// Renamed is true for a redirection within the API.
	Renamed bool
	// Unsure is true where the request may have taken effect all the same.
	Unsure bool
}

func (e *Error) Error() string {
	said := ""
	if e.Message != "" {
		said = fmt.Sprintf(" (%s)", e.Message)
	}
	switch e.Kind {
	case UnknownHost:
		return fmt.Sprintf("the name %s does not resolve: correct the repository or --api-url, or check this machine's DNS",
			e.Host)
	case Unreachable:
		return fmt.Sprintf("%s cannot be reached%s: check --api-url, the proxy variables and the network", e.Host, said)
	case Untrusted:
		with := e.Authorities
		if with == "" {
			with = "with --ca-file"
		}
		return fmt.Sprintf("the certificate of %s is not trusted%s: pass the authority that signed it %s", e.Host, said, with)
	case Cut:
		return fmt.Sprintf("%s broke off its answer: try again, and look at the proxies in between if it happens again",
			e.Host)
	case Proxy:
		return fmt.Sprintf("the proxy on the way to %s cannot be reached%s: correct the variable HTTPS_PROXY or HTTP_PROXY, "+
			"or name the host in NO_PROXY", e.Host, said)
	}
	return e.refusal(said)
}

// refusal is the sentence of an answer. said is what the forge says, in parentheses, or empty.
func (e *Error) refusal(said string) string {
	about := abouts[e.Forge]
	token := about.token
	if e.SHA != "" {
		token = about.statusToken
	}
	switch e.Kind {
	case Unauthorized:
		return fmt.Sprintf("%s does not accept the token%s: it is wrong, expired or of another server; create %s",
			e.Host, said, token)
	case Forbidden:
		what := "manage the hooks of " + e.Repository
		if e.SHA != "" {
			what = "report statuses of " + e.Repository
		}
		return fmt.Sprintf("%s does not let the token %s%s: use %s", e.Host, what, said, token)
	case NotVisible:
		what, remedy := "hooks", "the repository's name"
		if e.SHA != "" {
			what, remedy = "commit "+e.SHA, "the repository's name or the commit"
		}
		return fmt.Sprintf(
			"%s shows the token no %s of %s (404): correct %s, or use %s; forges answer so for missing rights, too",
			e.Host, what, e.Repository, remedy, token)
	case Limited:
		return fmt.Sprintf("%s limits the rate of requests%s: try again %s", e.Host, said, e.when())
	case Invalid:
		if e.Blocked() {
			return fmt.Sprintf("%s does not accept the request%s: %s", e.Host, said, about.unreachable)
		}
		return fmt.Sprintf("%s does not accept the request%s: correct what it names", e.Host, said)
	case Redirected:
		if e.Renamed {
			return fmt.Sprintf("%s redirects%s, so %s was renamed or moved: pass its new name, to which its old page at "+
				"the forge leads", e.Host, said, e.Repository)
		}
		return fmt.Sprintf("%s redirects%s, and the token is not sent there: pass the repository's new name or address",
			e.Host, said)
	case NotAPI:
		return fmt.Sprintf("%s answers, but not like the API of %s%s: check --provider and --api-url", e.Host, about.title,
			said)
	}
	if e.SHA != "" && (e.Forge == Gitea || e.Forge == Forgejo) {
		return fmt.Sprintf("%s failed with status %d%s: check that the repository has commit %s, since %s fails so without it, "+
			"or try again later", e.Host, e.Status, said, e.SHA, about.title)
	}
	if e.Status/100 == 4 {
		return fmt.Sprintf("%s refuses the request with status %d%s: check --provider and --api-url, and what stands between",
			e.Host, e.Status, said)
	}
	return fmt.Sprintf("%s failed with status %d%s: try again later", e.Host, e.Status, said)
}

// Blocked reports whether a forge does not send to an address because of its settings.
func (e *Error) Blocked() bool {
	text := strings.ToLower(e.Message)
	return abouts[e.Forge].unreachable != "" && (strings.Contains(text, "local network") ||
		e.Forge == GitLab && strings.Contains(text, "is blocked"))
}

func (e *Error) when() string {
	if e.Until.IsZero() {
		return "in a few minutes"
	}
	return "after " + e.Until.UTC().Format(time.RFC3339)
}

// failure makes an error of a request without an answer.
func (s *session) failure(err error) *Error {
	e := s.problem(Unreachable)
	var dns *net.DNSError
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var proxy *net.OpError
	switch {
	case errors.As(err, &proxy) && proxy.Op == "proxyconnect":
		e.Kind, e.Message = Proxy, s.clean(proxy.Err.Error())
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Kind = UnknownHost
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid):
		e.Kind = Untrusted
		e.Message = s.clean(certificateFault(err))
	case errors.Is(err, context.DeadlineExceeded):
		e.Message, e.Unsure = "it did not answer in time", true
	default:
		var op *net.OpError
		e.Unsure = !errors.As(err, &op) || op.Op != "dial"
		e.Message = s.clean(err.Error())
	}
	return e
}

// certificateFault says what is wrong with a certificate.
func certificateFault(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return "it is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet"
	case errors.As(err, &invalid):
		return invalid.Error()
	}
	return "it is signed by an unknown authority"
}

// refused makes an error of an answer that is no success. message is the forge's.
func (s *session) refused(response *http.Response, message string, now time.Time) *Error {
	e := s.problem(Failed)
	e.Status, e.Message = response.StatusCode, s.clean(message)
	until, limited := limit(response, message, now)
	switch status := response.StatusCode; {
	case status/100 == 3:
		e.Kind, e.Message = Redirected, s.clean(target(response))
		to, err := response.Location()
		e.Renamed = err == nil && strings.EqualFold(to.Host, s.base.Host) && strings.HasPrefix(to.Path, s.base.Path+"/")
	case limited:
		e.Kind, e.Until = Limited, until
	case status == http.StatusUnauthorized:
		e.Kind = Unauthorized
	case status == http.StatusForbidden:
		e.Kind = Forbidden
	case status == http.StatusNotFound:
		e.Kind = NotVisible
	case status == http.StatusBadRequest, status == http.StatusConflict, status == http.StatusUnprocessableEntity:
		e.Kind = Invalid
	case status >= http.StatusInternalServerError:
		e.Unsure = true
	}
	return e
}

// target returns where an answer redirects to, without a query.
func target(response *http.Response) string {
	to, err := response.Location()
	if err != nil {
		return ""
	}
	to.User, to.RawQuery, to.Fragment = nil, "", ""
	return "to " + to.String()
}

// limit reports whether an answer is about a rate limit, and when that ends. GitHub says it
// with 403, too.
func limit(response *http.Response, message string, now time.Time) (until time.Time, limited bool) {
	h := response.Header
	limited = response.StatusCode == http.StatusTooManyRequests
	if response.StatusCode == http.StatusForbidden {
		limited = h.Get("X-RateLimit-Remaining") == "0" || h.Get("Retry-After") != "" ||
			strings.Contains(strings.ToLower(message), "rate limit")
	}
	if !limited {
		return until, false
	}
	if wait := retryAfter(h.Get("Retry-After"), now); wait > 0 {
		return now.Add(wait), true
	}
	for _, name := range []string{"X-RateLimit-Reset", "RateLimit-Reset"} {
		if at := epoch(h.Get(name)); at.After(now) {
			return at, true
		}
	}
	return until, true
}

func (s *session) problem(kind Kind) *Error {
	return &Error{Kind: kind, Host: printable(s.base.Host), Forge: s.at.Forge, Repository: s.at.Path(), SHA: s.sha}
}

const longestMessage = 300

// clean makes a text from outside fit for an error: printable, short and without secrets.
func (s *session) clean(text string) string {
	for _, secret := range s.secrets() {
		text = strings.ReplaceAll(text, secret, "…")
	}
	text = strings.TrimSpace(printable(text))
	if runes := []rune(text); len(runes) > longestMessage {
		text = string(runes[:longestMessage]) + "…"
	}
	return text
}

func printable(text string) string { return display.Printable(text, ' ') }
