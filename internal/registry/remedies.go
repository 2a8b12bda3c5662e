package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
)

// remedy says what to do about an error of the registry of an image.
func remedy(status Status, ref image.Reference, err error) string {
	return cmp.Or(ownRemedy(err), certificateRemedy(ref.Host, err), pushRemedy(ref, err), partRemedy(status, err),
		answerRemedy(ref.Host, err), statusRemedy(status, ref, err), lineRemedy(ref.Host, err))
}

// ownRemedy is about this machine.
func ownRemedy(err error) string {
	var known remediedError
	var file *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &known):
		return known.remedy
	case errors.Is(err, context.Canceled):
		return "run it again"
	case errors.As(err, &file) || errors.As(err, &link):
		return "check the folder, its permissions and its free space"
	}
	return ""
}

// certificateRemedy is about TLS.
func certificateRemedy(host string, err error) string {
	var unknown x509.UnknownAuthorityError
	var named x509.HostnameError
	var invalid x509.CertificateInvalidError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "name the registry's certificate authority with --ca-file"
	case errors.As(err, &named):
		return "name the registry by a host of its certificate, or issue another certificate"
	case errors.As(err, &invalid):
		return "renew the registry's certificate, and check the clock of this machine"
	case errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &noTLS):
		return fmt.Sprintf("serve %s over HTTPS, or allow HTTP with --plain-http %s", host, host)
	}
	return ""
}

// pushRemedy is about what a registry answers to an upload.
func pushRemedy(ref image.Reference, err error) string {
	// The library has no type for a bad address.
	if errors.Is(err, http.ErrNoLocation) || strings.Contains(err.Error(), "blob upload Location") {
		return fmt.Sprintf("have %s name its own address for uploads: set its external URL, or the headers X-Forwarded-Proto "+
			"and Host in the proxy before it", ref.Host)
	}
	said := answerIn(err)
	if said == nil || !isPush(said.Method) || !strings.HasPrefix(said.URL.Path, "/v2/") {
		return ""
	}
	text := strings.ToLower(said.Errors.Error())
	switch code := said.StatusCode; {
	case strings.Contains(text, "quota") || strings.Contains(text, "will exceed"):
		return fmt.Sprintf("free or raise the quota of %s at %s", ref.Path, ref.Host)
	case strings.Contains(text, "immutable") || code == http.StatusPreconditionFailed || code == http.StatusConflict:
		return fmt.Sprintf("tags of %s cannot be moved: allow it at %s, or name another repository under mirror.images",
			ref.Path, ref.Host)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Sprintf("log in with `docker login %s` as an account that may push to %s", ref.Host, ref.Path)
	case code == http.StatusNotFound:
		return fmt.Sprintf("create the project or repository of %s at %s: not every registry does on a push",
			ref.Path, ref.Host)
	case code == http.StatusMethodNotAllowed:
		return fmt.Sprintf("%s takes no uploads, as a pull-through cache: name a registry that does as the mirror", ref.Host)
	case code == http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("raise the limit for uploads of the proxy before %s, such as nginx's client_max_body_size",
			ref.Host)
	}
	return ""
}

func isPush(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// partRemedy is about an image of which something is not there, or is not what it should be.
func partRemedy(status Status, err error) string {
	var page webPageError
	var lost lostError
	var bad unusableError
	switch {
	case errors.As(err, &page) || strings.Contains(err.Error(), "stopped after 10 redirects"): // has no type
		return "the address is not that of a registry, or its operator closed it: name another mirror"
	case errors.As(err, &lost):
		return "look at the storage and the log of the registry; if it lost the content, delete the image there, collect its " +
			"garbage and run `tekgate images copy`"
	case status == StatusIncomplete && errors.As(err, &bad):
		return "run `tekgate images copy`, which replaces it if the registry lets it, or name another mirror"
	case status == StatusIncomplete && fromCache(err):
		return "a pull-through cache fetches this when it is pulled: pull it while the cache reaches its upstream, or fill " +
			"a mirror with `tekgate images copy`; of a registry that is no cache, read the log"
	case status == StatusIncomplete &&
		slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden}, statusCode(err)):
		return "the registry shows the image to this account, and not all of its parts: log in with an account that may pull " +
			"them, or ask what the registry's policies hold back"
	case status == StatusIncomplete:
		return "complete it with `tekgate images copy`; a registry's garbage collection that removes untagged manifests " +
			"(distribution before v3: --delete-untagged) removes such parts again"
	}
	return ""
}

// answerRemedy is about what a registry answers to any request.
func answerRemedy(host string, err error) string {
	said := answerIn(err)
	if said == nil {
		return ""
	}
	switch code := said.StatusCode; {
	case code == http.StatusTooManyRequests:
		return fmt.Sprintf("%s limits requests: wait, or log in with `docker login %s`, since accounts often have "+
			"higher limits", host, host)
	case code == http.StatusPreconditionFailed:
		return fmt.Sprintf("a policy of %s forbids it: see what it demands of images, such as a scan or a signature", host)
	case code == http.StatusBadRequest && said.URL.Scheme == "http":
		return fmt.Sprintf("if %s speaks TLS, leave out --plain-http; otherwise look at its log", host)
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("look at the log of %s and of the proxy before it, and run this again when it works", host)
	case code < http.StatusBadRequest:
		return "the address is not that of a registry: name another one"
	case code != http.StatusNotFound && code != http.StatusUnauthorized && code != http.StatusForbidden:
		return fmt.Sprintf("%s refuses the request: see its message, and its log", host)
	}
	return ""
}

// statusRemedy is about an image that is not what is wanted.
func statusRemedy(status Status, ref image.Reference, err error) string {
	var lacking lackingError
	switch {
	case status == StatusWrongDigest:
		return "fill the mirror with `tekgate images copy`, which keeps digests, or say `digest: relock` for this rule"
	case errors.As(err, &lacking) && lacking.whole:
		return "no copy adds a platform that the image itself lacks: ask for others with --platform, or name another image " +
			"under mirror.images"
	case status == StatusMissingPlatform:
		return "fill the mirror with `tekgate images copy`, which copies all platforms (--overwrite moves the tag)"
	case status == StatusUnusable:
		return "have the registry, or the proxy before it, send manifests as they were pushed: their bytes and their own " +
			"media type; or name another mirror"
	case status == StatusMissing:
		return "fill the mirror with `tekgate images copy`, or say under mirror.images where the image is"
	case status == StatusDenied:
		return fmt.Sprintf("log in with `docker login %s`; some registries also say this of what they do not have",
			ref.Host)
	}
	return ""
}

// lineRemedy is about a host that does not answer: the registry's, or one to which it leads.
func lineRemedy(host string, err error) string {
	if broken(err) {
		return fmt.Sprintf("run it again, or look at what is between here and %s, such as a proxy", host)
	}
	at, scheme := "https://"+host+"/v2/", "https"
	var asked *url.Error
	if errors.As(err, &asked) {
		if u, err := url.Parse(asked.URL); err == nil && u.Host != "" {
			at, scheme = u.Scheme+"://"+u.Host, u.Scheme
			if strings.HasPrefix(u.Path, "/v2/") {
				at += "/v2/"
			}
		}
	}
	return fmt.Sprintf("check from here that %s answers, and the proxy in %s_PROXY", at, strings.ToUpper(scheme))
}
