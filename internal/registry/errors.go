package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tekgate/tekgate/internal/image"
)

// digestError says that a tag is there, with another digest than the wanted.
type digestError struct {
	ref image.Reference
	has string
}

func (e digestError) Error() string {
	return fmt.Sprintf("%s:%s has digest %s there, not %s", e.ref.Repository(), e.ref.Tag, e.has, e.ref.Digest)
}

// lackingError says that an image is there for other platforms alone.
type lackingError struct {
	ref        image.Reference
	has, lacks []string
}

func (e lackingError) Error() string {
	return fmt.Sprintf("%s is there for %s, and not for %s", e.ref, strings.Join(e.has, ", "),
		strings.Join(e.lacks, ", "))
}

// failed is the result for an image that could not be found.
func failed(candidate image.Rewritten, err error) Result {
	r := Result{Image: candidate}
	r.fail(statusOf(err), err)
	return r
}

func (r *Result) fail(status Status, err error) {
	var wrong digestError
	if errors.As(err, &wrong) {
		r.Digest = wrong.has
	}
	r.Status = status
	r.Err = fmt.Errorf("looking for %s: %w", r.Image.To, plainly(err))
	r.Remedy = remedy(status, r.Image.To, err)
}

// statusOf sorts an error into a status.
func statusOf(err error) Status {
	var wrong digestError
	if errors.As(err, &wrong) {
		return StatusWrongDigest
	}
	var lacking lackingError
	if errors.As(err, &lacking) {
		return StatusMissingPlatform
	}
	var parts lacks
	if errors.As(err, &parts) {
		return StatusIncomplete
	}
	switch statusCode(err) {
	case http.StatusNotFound:
		return StatusMissing
	case http.StatusUnauthorized, http.StatusForbidden:
		return StatusDenied
	}
	return StatusUnreachable
}

// statusCode is the registry's answer, or zero where there was none.
func statusCode(err error) int {
	var answered *errcode.ErrorResponse
	switch {
	case errors.As(err, &answered):
		return answered.StatusCode
	case errors.Is(err, errdef.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, auth.ErrBasicCredentialNotFound): // the library does not ask again then
		return http.StatusUnauthorized
	}
	return 0
}

// plainly says in few words what the library says in many.
func plainly(err error) error {
	var fetching fetchErrors
	var parts lacks
	var child childError
	if errors.As(err, &fetching) || errors.As(err, &parts) || errors.As(err, &child) {
		return err // it is plain already
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return unknown
	}
	var answered *errcode.ErrorResponse
	if errors.As(err, &answered) {
		text := fmt.Sprintf("the registry answered %d %s", answered.StatusCode, http.StatusText(answered.StatusCode))
		for _, d := range answered.Errors {
			if d.Message != "" && !strings.EqualFold(d.Message, http.StatusText(answered.StatusCode)) {
				text += ": " + d.Message
			}
		}
		return errors.New(text)
	}
	if code := statusCode(err); code != 0 {
		return fmt.Errorf("the registry answered %d %s", code, http.StatusText(code))
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

// remedy says what to do about a status.
func remedy(status Status, ref image.Reference, err error) string {
	var unknown x509.UnknownAuthorityError
	var page webPageError
	switch {
	case errors.As(err, &unknown):
		return "name the registry's certificate authority with --ca-file"
	case errors.Is(err, context.Canceled):
		return "run it again"
	case errors.As(err, &page):
		return "the address is not that of a registry, or its operator closed it: name another mirror"
	case status == StatusIncomplete && fromCache(err):
		return "a pull-through cache fetches this when it is pulled: pull it while the cache reaches its upstream, or fill a mirror with `tekgate images copy`"
	case status == StatusIncomplete:
		return "complete it with `tekgate images copy`; a registry's garbage collection that removes untagged manifests (distribution before v3: --delete-untagged) removes such parts again"
	case status == StatusWrongDigest:
		return "fill the mirror with `tekgate images copy`, which keeps digests, or say `digest: relock` for this rule"
	case status == StatusMissingPlatform:
		return "fill the mirror with `tekgate images copy`, which copies all platforms"
	case status == StatusMissing:
		return "fill the mirror with `tekgate images copy`, or say under mirror.images where the image is"
	case status == StatusDenied:
		return fmt.Sprintf("log in with `docker login %s`; some registries also say this of what they do not have",
			ref.Host)
	case status == StatusUnreachable:
		return fmt.Sprintf("check from here that https://%s/v2/ answers, and the proxy in HTTPS_PROXY", ref.Host)
	}
	return ""
}
