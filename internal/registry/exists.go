package registry

import (
	"context"
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

// flaws returns what is wrong with an image. Of an index that is the manifest of each platform, and
// all that one platform consists of.
func (c *client) flaws(ctx context.Context, ref image.Reference) ([]string, error) {
	r, root, err := c.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	var wanted []string
	if root.isIndex() {
		has, err := platformsOf(ctx, r, root)
		if err != nil {
			return nil, err
		}
		wanted = usual(has)
	}
	found, err := inspect(ctx, r, root, wanted, (*repository).sendsBlob)
	if err != nil {
		return nil, err
	}
	all := found.warnings(ref)
	if len(found.wanted) > 0 {
		all = append(all, fmt.Sprintf("%s: %v: %s", ref, found.wanted, remedy(StatusIncomplete, ref, found.wanted)))
	}
	return all, nil
}

// usual returns the platform that is inspected as a whole: that of most nodes, or else the first.
func usual(platforms []string) []string {
	if slices.Contains(platforms, "linux/amd64") || len(platforms) == 0 {
		return []string{"linux/amd64"}
	}
	return platforms[:1]
}
