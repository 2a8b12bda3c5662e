package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tekgate/tekgate/internal/image"
)

// Existence asks registries whether images are there and can be pulled, each image once, and no
// more of them at a time than Options.Jobs. It is safe for concurrent use.
type Existence struct {
	client  *client
	timeout time.Duration
	slots   chan struct{}

	mutex sync.Mutex
	known map[string]func() (answer, error)
}

// answer is what a registry has under a reference.
type answer struct {
	exists bool
	flaws  []string
}

// NewExistence returns an Existence that gives an image up after a time. The error
// says what is wrong with the options.
func NewExistence(options Options, timeout time.Duration) (*Existence, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	return &Existence{client: c, timeout: timeout, slots: make(chan struct{}, c.Jobs),
		known: map[string]func() (answer, error){}}, nil
}

// Exists reports whether a registry has something under an image reference, and what of it nodes
// or Tekton cannot use, as `images verify` does: a sentence each. The error says that the registry
// is out of reach, or refuses access.
func (e *Existence) Exists(ctx context.Context, reference string) (exists bool, flaws []string, err error) {
	e.mutex.Lock()
	ask, known := e.known[reference]
	if !known {
		ask = sync.OnceValues(func() (answer, error) { return e.ask(ctx, reference) })
		e.known[reference] = ask
	}
	e.mutex.Unlock()
	found, err := ask()
	return found.exists, found.flaws, err
}

func (e *Existence) ask(ctx context.Context, reference string) (answer, error) {
	ref, err := image.Parse(reference)
	if err != nil {
		return answer{}, err
	}
	e.slots <- struct{}{}
	defer func() { <-e.slots }()
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	flaws, err := e.client.flaws(ctx, ref)
	switch {
	case err == nil:
		return answer{true, flaws}, nil
	case statusOf(err) == StatusMissing || statusOf(err) == StatusWrongDigest:
		return answer{}, nil
	case ctx.Err() != nil:
		return answer{}, fmt.Errorf("asking for %s: %s did not answer within %s", reference, ref.Host, e.timeout)
	}
	return answer{}, fmt.Errorf("asking for %s: %w: %s", reference, plainly(err), remedy(statusOf(err), ref, err))
}

// flaws returns what is wrong with an image for the usual platform.
func (c *client) flaws(ctx context.Context, ref image.Reference) ([]string, error) {
	found := Result{Image: image.Rewritten{From: ref, To: ref}}
	err := c.pullable(ctx, &found, usual)
	var missing lacks
	if errors.As(err, &missing) {
		flaw := fmt.Sprintf("%s: %v: %s", ref, missing, remedy(StatusIncomplete, ref, missing))
		return append(found.Warnings, flaw), nil
	}
	return found.Warnings, err
}

// usual returns the platform that an image is checked for if the user names none: that of most nodes,
// or else the first that it has.
func usual(has []string) []string {
	if slices.Contains(has, "linux/amd64") {
		return []string{"linux/amd64"}
	}
	return has[:min(1, len(has))]
}
