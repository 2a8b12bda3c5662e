package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// blobSource is where blobs come from: a registry or an archive.
type blobSource interface {
	Fetch(ctx context.Context, target ocispec.Descriptor) (io.ReadCloser, error)
}

// mover moves blobs to registries, each once. A blob that several repositories of a registry
// need is uploaded to the first of them and mounted to the others. Blobs stream from one registry
// to the other.
type mover struct {
	client *client
	shared *shared
	moved  func(bytes int64) // reports that a blob has arrived, or so much of it
}

// shared is what the transfers of one run know together.
type shared struct {
	mu      sync.Mutex
	flights map[string]*flight
	holders map[string]string // by registry and digest, a repository that has the blob
}

// flight is something that is done once.
type flight struct {
	done chan struct{}
	err  error
	// left says that it was given up because something else failed.
	left bool
}

func newMover(c *client) *mover {
	return &mover{client: c, moved: func(int64) {},
		shared: &shared{flights: map[string]*flight{}, holders: map[string]string{}}}
}

// reporting returns the mover with progress about a transfer.
func (m *mover) reporting(t Transfer, progress Progress) *mover {
	if progress == nil {
		return m
	}
	return &mover{client: m.client, shared: m.shared,
		moved: func(n int64) { progress.Add(t.Image.From.String(), n) }}
}

// once calls do if no other call with the key has succeeded, or waits for one that is running. It
// reports whether it called do. After a failure the next call tries again.
func (s *shared) once(ctx context.Context, key string, do func() error) (first bool, err error) {
	s.mu.Lock()
	f, begun := s.flights[key]
	if !begun {
		f = &flight{done: make(chan struct{})}
		s.flights[key] = f
	}
	s.mu.Unlock()
	if begun {
		select {
		case <-f.done:
			if f.left && ctx.Err() == nil {
				return s.once(ctx, key, do)
			}
			return false, f.err
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	f.err = do()
	if f.err != nil {
		f.left = ctx.Err() != nil
		s.mu.Lock()
		delete(s.flights, key)
		s.mu.Unlock()
	}
	close(f.done)
	return true, f.err
}

// holder returns a repository of the registry that has the blob, or "".
func (s *shared) holder(host string, d digest.Digest) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders[host+"@"+d.String()]
}

func (s *shared) hold(r *repository, d digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders[r.Reference.Registry+"@"+d.String()] = r.Reference.Repository
}

// put puts an image into a repository: its blobs, then its manifests, children before those that
// name them, and at last the tag.
func (m *mover) put(ctx context.Context, from blobSource, to *repository, t *tree, tag string) error {
	group, inner := errgroup.WithContext(ctx)
	for _, blob := range t.blobs() {
		group.Go(func() error { return m.place(inner, from, to, blob) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, n := range t.nodes[:len(t.nodes)-1] {
		if err := to.Manifests().Push(ctx, n.descriptor(), bytes.NewReader(n.raw)); err != nil {
			return err
		}
	}
	root := t.root()
	return to.Manifests().PushReference(ctx, root.descriptor(), bytes.NewReader(root.raw), tag)
}

// descriptor is what a registry needs to know of a manifest.
func (n *node) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: n.MediaType, Digest: n.Digest, Size: n.Size}
}

// place makes a blob be in a repository.
func (m *mover) place(ctx context.Context, from blobSource, to *repository, blob ocispec.Descriptor) error {
	streamed := false
	_, err := m.shared.once(ctx, to.Reference.String()+"@"+blob.Digest.String(), func() error {
		first, err := m.shared.once(ctx, to.Reference.Registry+"@"+blob.Digest.String(), func() error {
			return m.move(ctx, from, to, blob, "", &streamed)
		})
		if first || ctx.Err() != nil {
			return err
		}
		// If it failed for the other repository, it may do for this one.
		return m.move(ctx, from, to, blob, m.shared.holder(to.Reference.Registry, blob.Digest), &streamed)
	})
	if err == nil && !streamed {
		m.moved(blob.Size)
	}
	return err
}

// move moves a blob: by mounting it from another repository of the registry if one is known to
// have it, and from its source otherwise. It sets streamed once the progress has been reported.
func (m *mover) move(ctx context.Context, from blobSource, to *repository, blob ocispec.Descriptor, holder string,
	streamed *bool) error {
	err := m.client.moving(ctx, func() error {
		if holder != "" {
			if err := m.mount(ctx, from, to, blob, holder, streamed); !refusedMount(err) {
				return err
			}
		}
		switch err := to.hasBlob(ctx, blob); {
		case err == nil:
			return nil
		case statusOf(err) != StatusMissing && statusOf(err) != StatusDenied:
			return err
		}
		body, err := m.open(ctx, from, blob, streamed)
		if err != nil || body == nil {
			return err
		}
		defer body.Close()
		return body.reason(to.Blobs().Push(ctx, blob, body))
	})
	if err == nil {
		m.shared.hold(to, blob.Digest)
	}
	return err
}

// moving moves a blob when its turn comes, and again if that broke half-way.
func (c *client) moving(ctx context.Context, move func() error) error {
	select {
	case c.moves <- struct{}{}:
		defer func() { <-c.moves }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return c.persist(ctx, move)
}

// mount mounts a blob. A registry that does not mount asks for the content.
func (m *mover) mount(ctx context.Context, from blobSource, to *repository, blob ocispec.Descriptor, holder string,
	streamed *bool) error {
	var body *stream
	err := to.Mount(ctx, blob, holder, func() (_ io.ReadCloser, err error) {
		if body, err = m.open(ctx, from, blob, streamed); err == nil && body == nil {
			err = errForeign
		}
		return body, err
	})
	if errors.Is(err, errForeign) {
		return nil
	}
	if body != nil {
		return body.reason(err)
	}
	return err
}

// refusedMount reports whether a registry refuses to mount a blob, as for an account that may not
// pull from the other repository. The blob is uploaded then.
func refusedMount(err error) bool {
	said := answerIn(err)
	return said != nil && said.Method == http.MethodPost && said.StatusCode >= http.StatusBadRequest &&
		said.StatusCode < http.StatusInternalServerError && said.StatusCode != http.StatusTooManyRequests
}

// errForeign means that a layer is fetched from elsewhere than registries.
var errForeign = errors.New("the layer is not in its registry")

// open opens a blob. It returns nil for a foreign layer that its registry does not have: nodes
// fetch it from the URLs in the manifest.
func (m *mover) open(ctx context.Context, from blobSource, blob ocispec.Descriptor, streamed *bool) (*stream, error) {
	in, err := from.Fetch(ctx, blob)
	if err != nil {
		if len(blob.URLs) > 0 && statusOf(err) == StatusMissing {
			return nil, nil
		}
		return nil, &blobError{blob: blob, cause: err}
	}
	*streamed = true
	return &stream{in: in, blob: blob, verifier: blob.Digest.Verifier(), moved: m.moved}, nil
}

// blobError means that the source does not serve a blob. It is a pointer: net/http compares the errors of a
// request's body, and a descriptor cannot be compared.
type blobError struct {
	blob  ocispec.Descriptor
	cause error
}

func (e *blobError) Error() string {
	return fmt.Sprintf("fetching %s: %v", shortDigest(e.blob.Digest.String()), plainly(e.cause))
}

func (e *blobError) Unwrap() error { return e.cause }

// stream is a blob on its way. It verifies the digest before it ends, and remembers whether it was
// the source that failed.
type stream struct {
	in       io.ReadCloser
	blob     ocispec.Descriptor
	verifier digest.Verifier
	moved    func(int64)
	read     int64
	err      error
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	_, _ = s.verifier.Write(p[:n])
	s.read += int64(n)
	s.moved(int64(n))
	switch ended := errors.Is(err, io.EOF); {
	case ended && s.read < s.blob.Size:
		// A connection that breaks may look like the end.
		err = fmt.Errorf("%w: the source sent %d of %d bytes", io.ErrUnexpectedEOF, s.read, s.blob.Size)
	case s.read > s.blob.Size, (ended || s.read == s.blob.Size && n > 0) && !s.verifier.Verified():
		n, err = 0, unusable("the source sent other content")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *stream) Close() error { return s.in.Close() }

// reason returns why an upload failed. What was reported of it does not count then.
func (s *stream) reason(err error) error {
	if err == nil {
		return nil
	}
	s.moved(-s.read)
	s.read = 0
	if s.err != nil {
		return &blobError{blob: s.blob, cause: s.err}
	}
	return err
}
