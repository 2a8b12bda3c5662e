// Package forge manages the webhooks of one repository through its forge's API, and reports
// commit statuses.
//
// All forges share one transport (transport.go): it adds the token to a header, never to a
// URL, refuses to send it to another host, bounds time and size, repeats a request once
// where that is safe, and turns every answer but success into an Error that has a remedy.
// The clients above it know paths, field names and paging alone.
//
// GitHub and Gitea use the libraries google/go-github (1.05 MB in bin/tekgate) and
// code.gitea.io/sdk (0.28 MB). GitLab's client-go adds 4.46 MB for five calls, so gitlab.go
// has the calls itself; Bitbucket, Gogs, Gitee and GitCode have no maintained library.
// Sizes were measured with `CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" ./cmd/tekgate`
// and Go 1.26 (go-github v89.0.0, sdk v0.25.1, client-go v1.46.0). No client has a type of a
// library in a field: the linker would keep all methods of what it reaches.
package forge

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Hook is a webhook as its forge describes it. Forges do not return its secret.
type Hook struct {
	ID     string   `json:"id"`
	URL    string   `json:"url"`
	Events []string `json:"events"` // in the forge's words
	Active bool     `json:"active"`
	// ContentType is json or form; empty at forges that send nothing but JSON.
	ContentType string `json:"contentType,omitempty"`
	// Last is what the forge reports about the last delivery; empty if it reports nothing.
	Last string `json:"last,omitempty"`

	// Insecure is true where the forge sends without checking the certificate.
	Insecure bool `json:"insecure,omitempty"`
	// Disabled is true where the forge sends nothing because of failures.
	Disabled bool `json:"disabled,omitempty"`

	kept map[string]string // settings that an update must repeat to keep them
}

// Want is what a hook shall be.
type Want struct {
	URL    string
	Secret string
	Mode   string   // the value of the param mode: how the forge signs
	Events []string // in the forge's words; see Events
	// NewSecret is true if the hook may have another secret. Gitea, Forgejo and Gogs cannot
	// change that, so their hooks are replaced then, and updated in place otherwise.
	NewSecret bool
}

// Delivery is a delivery as the forge remembers it.
type Delivery struct {
	ID     string    `json:"id"` // what the delivery's header has, if the forge sends one
	Time   time.Time `json:"time,omitzero"`
	Event  string    `json:"event"`
	Status int       `json:"status"` // of the answer; 0 if there was none
	Result string    `json:"result"` // such as OK or "failed to connect to host"
}

// Client manages the hooks of one repository. Every error that the forge causes is or wraps
// an *Error.
type Client interface {
	List(ctx context.Context) ([]Hook, error)
	Create(ctx context.Context, want Want) (Hook, error)
	// Update changes a hook that List returned. The hook that it returns may have another
	// id: see Want.NewSecret.
	Update(ctx context.Context, hook Hook, want Want) (Hook, error)
	Delete(ctx context.Context, id string) error
	// Test asks the forge to send a delivery. Not all forges can: see ErrUnsupported.
	Test(ctx context.Context, hook Hook) error
	// Deliveries returns the last deliveries, the newest first, or ErrUnsupported.
	Deliveries(ctx context.Context, id string) ([]Delivery, error)
}

// ErrUnsupported is the error of a call that a forge's API does not have.
var ErrUnsupported = errors.New("the forge's API cannot do this")

// UndeliveredError reports a test delivery that the forge tried to send and that failed.
type UndeliveredError struct{ Cause *Error }

func (e *UndeliveredError) Error() string {
	text := "the delivery failed"
	if e.Cause.Message != "" {
		text += " (" + e.Cause.Message + ")"
	}
	if e.Cause.Blocked() {
		text += ": " + abouts[e.Cause.Forge].unreachable
	}
	return text
}

func (e *UndeliveredError) Unwrap() error { return e.Cause }

// Options say how to reach a forge.
type Options struct {
	Repository Repository
	Token      string
	// CA is PEM text of authorities that are trusted beside the system's.
	CA []byte
	// PlainHTTP allows a token to be sent without TLS to hosts other than this one.
	PlainHTTP bool
	// MaxWait bounds how long a request waits before it is repeated; 0 means 10 seconds.
	MaxWait time.Duration
}

// New returns a client. It sends nothing yet.
func New(o Options) (Client, error) {
	s, err := newSession(o)
	if err != nil {
		return nil, err
	}
	switch o.Repository.Forge {
	case Gitee, GitCode:
		return &v5{s}, nil
	case GitHub:
		return &gitHub{s}, nil
	case GitLab:
		return &gitLab{s}, nil
	case Gitea, Forgejo:
		return &giteaHooks{s}, nil
	case Gogs:
		return &gogsHooks{s}, nil
	}
	return &bitbucket{s}, nil
}

// Changes describes what an update to want would change of a hook, beside its secret.
func (h Hook) Changes(want Want) []string {
	var list []string
	if Normalise(h.URL) != Normalise(want.URL) {
		list = append(list, fmt.Sprintf("URL %s becomes %s", withoutQuery(h.URL), withoutQuery(want.URL)))
	}
	if before, after := sorted(h.Events), sorted(want.Events); !slices.Equal(before, after) {
		list = append(list, fmt.Sprintf("events %s become %s", printable(strings.Join(before, ", ")),
			strings.Join(after, ", ")))
	}
	if h.ContentType != "" && h.ContentType != "json" {
		list = append(list, fmt.Sprintf("content type %s becomes json", printable(h.ContentType)))
	}
	if h.Insecure {
		list = append(list, "the certificate is checked, which was off")
	}
	if !h.Active && !h.Disabled {
		list = append(list, "the hook becomes active, which it was not")
	}
	return list
}

// Find returns the hook with this URL, or nil. Two of them are an error: which one the
// forge's administrators want is not known.
func Find(hooks []Hook, address string) (*Hook, error) {
	wanted := Normalise(address)
	var found []Hook
	for _, h := range hooks {
		if Normalise(h.URL) == wanted {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return &found[0], nil
	}
	ids := make([]string, 0, len(found))
	for _, h := range found {
		ids = append(ids, printable(h.ID))
	}
	return nil, &DuplicateError{URL: withoutQuery(address), IDs: ids}
}

// DuplicateError reports several hooks with one URL.
type DuplicateError struct {
	URL string // without its query
	IDs []string
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf(
		"the repository has %d hooks for %s (ids %s), so each event would arrive %[1]d times; "+
			"nothing was changed: delete all but one at the forge, and run this again",
		len(e.IDs), e.URL, strings.Join(e.IDs, " and "))
}

// Normalise returns a spelling of a URL that is equal for URLs that mean the same: with the
// host in lower case, and without a default port or a slash at the end.
func Normalise(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return address
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	u.Fragment = ""
	return u.String()
}

// deleteTimeout bounds the deletion of a hook that has been replaced.
const deleteTimeout = 2 * requestTimeout

// replace makes a new hook and deletes the old one. In this order a push in between is
// delivered twice rather than not at all. An interrupt after the new one exists does not stop
// the deletion, and the new one is taken back only where the old one certainly stays.
func replace(ctx context.Context, c Client, old Hook, create func() (Hook, error)) (Hook, error) {
	made, err := create()
	if err != nil {
		return Hook{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	err = c.Delete(ctx, old.ID)
	if err == nil || Gone(err) {
		return made, nil
	}
	if Unsure(err) {
		return keepNew(ctx, c, old, made, err)
	}
	if undo := c.Delete(ctx, made.ID); undo != nil && !Gone(undo) {
		return Hook{}, fmt.Errorf("replacing hook %s: hook %s stays beside it, delete one of them at the forge: %w",
			printable(old.ID), printable(made.ID), errors.Join(err, undo))
	}
	return Hook{}, err
}

// keepNew decides after a deletion that may have taken effect. The new hook stays.
func keepNew(ctx context.Context, c Client, old, made Hook, failure error) (Hook, error) {
	hooks, err := c.List(ctx)
	if err == nil && !slices.ContainsFunc(hooks, func(h Hook) bool { return h.ID == old.ID }) {
		return made, nil
	}
	return Hook{}, fmt.Errorf("deleting hook %s, which hook %s replaces: %w; if hook %[1]s is still there, "+
		"delete it at the forge", printable(old.ID), printable(made.ID), failure)
}

// Gone reports whether an error says that what was to be deleted does not exist.
func Gone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == NotVisible
}

// Unsure reports whether a request that failed may have taken effect all the same.
func Unsure(err error) bool {
	var e *Error
	return errors.Is(err, context.Canceled) || errors.As(err, &e) && e.Unsure
}

func withoutQuery(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return printable(before)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
