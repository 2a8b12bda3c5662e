package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/internal/image"
)

// Transfer is one image that is to be moved.
type Transfer struct {
	// Image says what it is called in the manifests and on the mirror.
	Image image.Rewritten
	// Sources are where it may be fetched, best first. Empty means its living
	// name, and then the name as it is written.
	Sources []image.Reference
}

// CopyRequest says what is copied.
type CopyRequest struct {
	Transfers []Transfer
	// Platforms are those that are copied, such as "linux/amd64"; empty means
	// all. Leaving any out changes an image's digest, so a mirror that is filled
	// this way needs the digest policy relock or drop.
	Platforms []string
	// Overwrite allows a tag that holds something else to be moved.
	Overwrite bool
	// Progress is told what happens; nil means nobody is.
	Progress Progress
}

// Progress is told how far transfers are. Its methods are called concurrently.
type Progress interface {
	// Start says how many bytes the layers of an image have.
	Start(image string, bytes int64)
	// Add says that so many of them are there now, moved or found.
	Add(image string, bytes int64)
	// Done says what became of the image. It may come without a Start.
	Done(result TransferResult)
}

// Outcome says in a word what became of an image.
type Outcome string

// What a transfer ends with.
const (
	Copied   Outcome = "copied"
	Present  Outcome = "present" // it was there already, or stays where it is
	Unneeded Outcome = "not needed"
	Failed   Outcome = "failed"
)

// TransferResult is what became of one image.
type TransferResult struct {
	Image   image.Rewritten
	Outcome Outcome
	// Source is where it was fetched.
	Source image.Reference
	// Digest is the one that it has where it went; SourceDigest is another where
	// only some of the platforms were copied.
	Digest, SourceDigest string
	// Err says what went wrong, Remedy what to do about it.
	Err    error
	Remedy string
}

// Subset reports whether the copy lacks platforms, and so has another digest.
func (r TransferResult) Subset() bool { return r.Digest != r.SourceDigest }

// Copy moves images from where they are published to the mirror, digest for
// digest, and checks each under its new name. What is there already is not
// moved again, so an interrupted copy is resumed by running it again. The
// results are in the order of the request.
func Copy(ctx context.Context, request CopyRequest, options Options) ([]TransferResult, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	return c.each(ctx, request.Transfers, request.Progress, func(ctx context.Context, t Transfer) TransferResult {
		return c.copy(ctx, t, request)
	}), nil
}

// each works on all transfers, some at a time.
func (c *client) each(ctx context.Context, transfers []Transfer, progress Progress,
	work func(context.Context, Transfer) TransferResult) []TransferResult {
	results := make([]TransferResult, len(transfers))
	var group errgroup.Group
	group.SetLimit(c.Jobs)
	for i, t := range transfers {
		group.Go(func() error {
			if progress != nil {
				ctx := withCounter(ctx, func(n int64) { progress.Add(t.Image.From.String(), n) })
				results[i] = work(ctx, t)
				progress.Done(results[i])
				return nil
			}
			results[i] = work(ctx, t)
			return nil
		})
	}
	_ = group.Wait()
	return results
}

func (t Transfer) sources() []image.Reference {
	if len(t.Sources) > 0 {
		return t.Sources
	}
	from := t.Image.From
	if living := from.Canonical(); living != from {
		return []image.Reference{living, from}
	}
	return []image.Reference{from}
}

func (c *client) copy(ctx context.Context, t Transfer, request CopyRequest) TransferResult {
	result := TransferResult{Image: t.Image, Outcome: Copied}
	if t.Image.Rule == "" || slices.Contains(t.sources(), t.Image.To) {
		result.Outcome = Present
		return result
	}
	err := c.persist(ctx, func() error {
		taken, source, err := c.fetchAny(ctx, t, request.Platforms)
		if err != nil {
			return err
		}
		result.Source = source
		result.Digest, result.SourceDigest = taken.digest.String(), taken.source.String()
		result.Outcome, err = c.put(ctx, taken, t.Image, request.Overwrite, request.Progress)
		return err
	})
	return result.ended(err, request.Platforms)
}

// ended turns an error into an outcome.
func (r TransferResult) ended(err error, platforms []string) TransferResult {
	switch {
	case err == nil:
		return r
	case errors.Is(err, errNoPlatform) && windowsAlone(r.Image.From, nil, platforms):
		r.Outcome = Unneeded
		return r
	}
	r.Outcome = Failed
	r.Err = fmt.Errorf("copying %s to %s: %w", r.Image.From, r.Image.To, plainly(err))
	var clobber clobberError
	var changed changedError
	switch {
	case errors.As(err, &clobber):
		r.Remedy = "say --overwrite to move the tag, or name another under mirror.images"
	case errors.As(err, &changed):
		r.Remedy = "copy all platforms, or say `digest: relock` and run `tekgate images lock` after the copy"
	default:
		at := r.Image.From.Canonical()
		if r.Source.Host != "" {
			at = r.Image.To
		}
		r.Remedy = remedy(statusOf(err), at, err)
	}
	return r
}

// fetchAny takes an image apart at the first source that has it.
func (c *client) fetchAny(ctx context.Context, t Transfer, platforms []string) (*content, image.Reference, error) {
	var problems []error
	for _, source := range t.sources() {
		taken, err := c.fetch(ctx, source, platforms)
		if err == nil {
			return taken, source, nil
		}
		if ctx.Err() != nil || errors.Is(err, errNoPlatform) {
			return nil, image.Reference{}, err
		}
		problems = append(problems, fetchError{source: source, cause: err})
	}
	return nil, image.Reference{}, fetchErrors(problems)
}

// fetchErrors are what the sources of one image said, in a line.
type fetchErrors []error

func (e fetchErrors) Error() string {
	said := make([]string, 0, len(e))
	for _, err := range e {
		said = append(said, err.Error())
	}
	return strings.Join(said, "; ")
}

func (e fetchErrors) Unwrap() []error { return e }

// fetchError says from where an image could not be had.
type fetchError struct {
	source image.Reference
	cause  error
}

func (e fetchError) Error() string { return fmt.Sprintf("fetching %s: %v", e.source, plainly(e.cause)) }
func (e fetchError) Unwrap() error { return e.cause }

// changedError says that a reference pins a digest that the copy has not.
type changedError struct {
	ref       image.Reference
	has       v1.Hash
	platforms bool
}

func (e changedError) Error() string {
	if e.platforms {
		return fmt.Sprintf("leaving platforms out changes its digest to %s, and %s is pinned", e.has, e.ref)
	}
	return fmt.Sprintf("it has digest %s, and %s is pinned", e.has, e.ref)
}

// clobberError says that a tag is taken.
type clobberError struct {
	tag string
	has v1.Hash
}

func (e clobberError) Error() string {
	return fmt.Sprintf("%s holds something else, with digest %s", e.tag, e.has)
}

// put makes an image be on the mirror under its name there.
func (c *client) put(ctx context.Context, taken *content, done image.Rewritten, overwrite bool,
	progress Progress) (Outcome, error) {
	if done.To.Digest != "" && done.To.Digest != taken.digest.String() {
		return Failed, changedError{ref: done.To, has: taken.digest, platforms: taken.digest != taken.source}
	}
	to := done.To
	if to.Tag == "" {
		to.Tag = done.From.DigestTag() // registries collect what has no tag
	}
	tag, err := c.byTag(to)
	if err != nil {
		return Failed, err
	}
	head, err := remote.Head(tag, append(c.remote(), remote.WithContext(ctx))...)
	switch {
	case err == nil && head.Digest == taken.digest:
		return Present, nil
	case err == nil && !overwrite:
		return Failed, clobberError{tag: tag.String(), has: head.Digest}
	case err != nil && statusOf(err) != StatusMissing && statusOf(err) != StatusDenied:
		return Failed, err
	}
	if progress != nil {
		progress.Start(done.From.String(), taken.size())
	}
	pusher, err := remote.NewPusher(c.remote()...)
	if err != nil {
		return Failed, err
	}
	for _, p := range taken.parts {
		if err := c.putPart(ctx, pusher, to, p); err != nil {
			return Failed, err
		}
	}
	if err := pusher.Put(ctx, tag, taken.root().raw); err != nil {
		return Failed, err
	}
	return Copied, c.verify(ctx, to, taken.digest)
}

// putPart puts one manifest, and before it the layers that it names, unless the
// registry has it, and so all of them.
func (c *client) putPart(ctx context.Context, pusher *remote.Pusher, to image.Reference, p part) error {
	to.Digest = p.digest.String()
	at, err := c.byDigest(to)
	if err != nil {
		return err
	}
	if _, err := remote.Head(at, append(c.remote(), remote.WithContext(ctx))...); err == nil {
		countAll(ctx, p)
		return nil
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(c.Jobs)
	for _, l := range p.layers {
		group.Go(func() error { return pusher.Upload(inner, at.Context(), l) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return pusher.Put(ctx, at, p.raw)
}

// countAll counts layers that are there as moved.
func countAll(ctx context.Context, p part) {
	add, _ := ctx.Value(counterKey{}).(func(int64))
	if add == nil {
		return
	}
	for _, l := range p.layers {
		n, _ := l.Size()
		add(n)
	}
}

// verify checks what the mirror gives for a tag after a copy.
func (c *client) verify(ctx context.Context, to image.Reference, want v1.Hash) error {
	to.Digest = ""
	got, err := c.find(ctx, to)
	if err != nil {
		return fmt.Errorf("checking the copy: %w", err)
	}
	if got.digest != want.String() {
		return fmt.Errorf(
			"checking the copy: %s has digest %s there, and %s was copied: the registry changes what it is given", to,
			got.digest, want)
	}
	return nil
}

// persist repeats a transfer that broke half-way. What arrived is not moved
// again.
func (c *client) persist(ctx context.Context, transfer func() error) error {
	for attempt := 1; ; attempt++ {
		err := transfer()
		if err == nil || attempt == c.Attempts || !mayPass(err) || ctx.Err() != nil {
			return err
		}
		if err := sleep(ctx, min(c.Backoff<<(attempt-1), c.MaxWait)); err != nil {
			return err
		}
	}
}

func mayPass(err error) bool {
	return broken(err) || slices.Contains(momentary, statusCode(err))
}
