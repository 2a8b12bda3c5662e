package registry

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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
	// whole says that the mirror has the very digest that is wanted, so no copy adds a platform.
	whole bool
}

func (e lackingError) Error() string {
	return fmt.Sprintf("%s is there for %s, and not for %s", e.ref,
		cmp.Or(strings.Join(e.has, ", "), "no platform that it names"), strings.Join(e.lacks, ", "))
}

// unusableError says why no node uses what a registry sends: it has other content than its digest
// says, another size, or another media type.
type unusableError string

func (e unusableError) Error() string { return string(e) }

func unusable(format string, args ...any) error { return unusableError(fmt.Sprintf(format, args...)) }

// lostError means that a registry knows something, and does not send it.
type lostError struct{ cause error }

func (e lostError) Error() string {
	return fmt.Sprintf("HEAD finds it and GET does not: %v", plainly(e.cause))
}
func (e lostError) Unwrap() error { return e.cause }

// remediedError is an error whose remedy is known where it arises.
type remediedError struct {
	error
	remedy string
}

func (e remediedError) Unwrap() error { return e.error }

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
	var bad unusableError
	if errors.As(err, &bad) {
		return StatusUnusable
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
	said := answerIn(err)
	switch {
	case said != nil:
		return said.StatusCode
	case errors.Is(err, errdef.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, auth.ErrBasicCredentialNotFound): // the library does not ask again then
		return http.StatusUnauthorized
	}
	return 0
}

// answerIn returns the registry's answer in an error, or nil.
func answerIn(err error) *errcode.ErrorResponse {
	var said *errcode.ErrorResponse
	if errors.As(err, &said) {
		return said
	}
	return nil
}

// plainly says in few words what the library says in many.
func plainly(err error) error {
	var fetching fetchErrors
	var parts lacks
	var child childError
	var blob *blobError
	var lost lostError
	if errors.As(err, &fetching) || errors.As(err, &parts) || errors.As(err, &child) || errors.As(err, &blob) ||
		errors.As(err, &lost) {
		return err // it is plain already
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return unknown
	}
	if said := answerIn(err); said != nil {
		text := fmt.Sprintf("the registry answered %d %s", said.StatusCode, http.StatusText(said.StatusCode))
		if isPush(said.Method) {
			text = fmt.Sprintf("%s answered an upload with %d %s", said.URL.Host, said.StatusCode,
				http.StatusText(said.StatusCode))
		}
		for _, d := range said.Errors {
			if d.Message != "" && !strings.EqualFold(d.Message, http.StatusText(said.StatusCode)) {
				text += ": " + strings.TrimSuffix(strings.Join(strings.Fields(d.Message), " "), ".")
			}
		}
		return errors.New(text)
	}
	if code := statusCode(err); code != 0 {
		return fmt.Errorf("the registry answered %d %s", code, http.StatusText(code))
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the connection broke: %w", err)
	}
	return err
}
