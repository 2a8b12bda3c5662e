package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tekgate/tekgate/internal/image"
)

// Existence asks registries whether images are there, each image once, and no more
// of them at a time than Options.Jobs. It is safe for concurrent use.
type Existence struct {
	client  *client
	timeout time.Duration
	slots   chan struct{}

	mutex sync.Mutex
	known map[string]func() (bool, error)
}

// NewExistence returns an Existence that gives an image up after a time. The error
// says what is wrong with the options.
func NewExistence(options Options, timeout time.Duration) (*Existence, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	return &Existence{client: c, timeout: timeout, slots: make(chan struct{}, c.Jobs),
		known: map[string]func() (bool, error){}}, nil
}

// Exists tells whether a registry has something under an image reference. The error
// says that nobody can tell: that the registry is out of reach, or does not let one in.
func (e *Existence) Exists(ctx context.Context, reference string) (bool, error) {
	e.mutex.Lock()
	ask, known := e.known[reference]
	if !known {
		ask = sync.OnceValues(func() (bool, error) { return e.ask(ctx, reference) })
		e.known[reference] = ask
	}
	e.mutex.Unlock()
	return ask()
}

func (e *Existence) ask(ctx context.Context, reference string) (bool, error) {
	ref, err := image.Parse(reference)
	if err != nil {
		return false, err
	}
	e.slots <- struct{}{}
	defer func() { <-e.slots }()
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	err = e.client.exists(ctx, ref)
	switch {
	case err == nil:
		return true, nil
	case statusOf(err) == StatusMissing:
		return false, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("asking for %s: %s did not answer within %s", reference, ref.Host, e.timeout)
	}
	return false, fmt.Errorf("asking for %s: %w: %s", reference, plainly(err), remedy(statusOf(err), ref, err))
}

// exists asks by HEAD, and by GET where a registry does not know HEAD.
func (c *client) exists(ctx context.Context, ref image.Reference) error {
	r, err := c.repository(ctx, ref)
	if err != nil {
		return err
	}
	_, err = r.head(ctx, reference(ref))
	if useless(err) {
		_, err = r.get(ctx, reference(ref))
	}
	return err
}
