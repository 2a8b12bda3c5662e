package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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
	// Attached is how many signatures, attestations and other artifacts that belong to the
	// image are there now.
	Attached int
	// Err says what went wrong, Remedy what to do about it.
	Err    error
	Remedy string
}

// Subset reports whether the copy lacks platforms, and so has another digest.
func (r TransferResult) Subset() bool { return r.Digest != r.SourceDigest }

// Copy moves images from where they are published to the mirror, digest for
// digest, and checks each under its new name. What is there already is not
// moved again, so an interrupted copy is resumed by running it again. An image
// is there if the mirror serves all that it names, whatever its index says:
// another tool may have copied a part of it, and garbage collection may have
// removed one. The results are in the order of the request.
func Copy(ctx context.Context, request CopyRequest, options Options) ([]TransferResult, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	m := newMover(c)
	return c.each(request.Transfers, request.Progress, func(t Transfer) TransferResult {
		return c.copy(ctx, t, m.reporting(t, request.Progress), request)
	}), nil
}

// each works on all transfers, some at a time.
func (c *client) each(transfers []Transfer, progress Progress, work func(Transfer) TransferResult) []TransferResult {
	results := make([]TransferResult, len(transfers))
	var group errgroup.Group
	group.SetLimit(c.Jobs)
	for i, t := range transfers {
		group.Go(func() error {
			results[i] = work(t)
			if progress != nil {
				progress.Done(results[i])
			}
			return nil
		})
	}
	_ = group.Wait()
	return results
}

// sources returns the places where an image is fetched, with the digest that it must have.
func (t Transfer) sources() []image.Reference {
	from := t.Image.From
	sources := slices.Clone(t.Sources)
	if len(sources) == 0 {
		sources = slices.Compact([]image.Reference{from.Canonical(), from})
	}
	if pinned := t.Image.Source(); pinned.Digest != from.Digest {
		for i := range sources {
			sources[i].Digest = pinned.Digest
		}
	}
	return sources
}

func (c *client) copy(ctx context.Context, t Transfer, m *mover, request CopyRequest) TransferResult {
	one := c.copying(t, m, request)
	if t.Image.Rule == "" {
		one.result.Outcome = Present
		return *one.result
	}
	if slices.Contains(t.sources(), t.Image.To) {
		return c.copyToItself(ctx, *one.result, request)
	}
	return one.result.ended(one.run(ctx), request.Platforms)
}

// copyToItself checks an image whose source is the place on the mirror where it goes.
func (c *client) copyToItself(ctx context.Context, r TransferResult, request CopyRequest) TransferResult {
	found := c.probe(ctx, r.Image, request.Platforms)
	r.Outcome, r.Digest, r.SourceDigest, r.Source = Present, found.Digest, found.Digest, r.Image.To
	switch {
	case found.Status == StatusUnneeded:
		r.Outcome = Unneeded
	case found.Status.Fatal():
		r.Outcome, r.Err = Failed, found.Err
		r.Remedy = "the mirror itself is named as the source: name another one with --from, or none"
	}
	return r
}

func (c *client) copying(t Transfer, m *mover, request CopyRequest) *copying {
	one := &copying{client: c, mover: m, request: request, transfer: t, to: t.Image.To,
		result: &TransferResult{Image: t.Image, Outcome: Copied}}
	if one.to.Tag == "" {
		one.to.Tag = t.Image.From.DigestTag() // registries collect what has no tag
	}
	return one
}

// copying is one image that is copied.
type copying struct {
	*client
	*mover
	request  CopyRequest
	transfer Transfer
	result   *TransferResult
	to       image.Reference
	mirror   *repository
	has      ocispec.Descriptor // what the mirror has under the tag
	root     manifest           // of an image that is there already
	lacking  lacks              // what the mirror lacked of the image before
}

func (o *copying) run(ctx context.Context) error {
	if err := o.look(ctx); err != nil {
		return err
	}
	if whole, err := o.present(ctx); err != nil {
		return err
	} else if whole {
		// A source that is out of reach has nothing new.
		if err := o.attach(ctx, o.result.Source, o.root); err != nil && !unreachable(err) {
			return err
		}
		return nil
	}
	source, image, err := o.fetchAny(ctx, o.transfer, o.request.Platforms)
	if err != nil {
		return err
	}
	o.result.Source = source.ref
	if err := o.give(ctx, source, image); err != nil {
		return err
	}
	return o.attach(ctx, source.ref, image.root().manifest)
}

// load puts an image of an archive onto the mirror.
func (o *copying) load(ctx context.Context, from blobSource, image *tree) error {
	if err := o.look(ctx); err != nil {
		return err
	}
	return o.give(ctx, from, image)
}

// look looks what the mirror has under the tag.
func (o *copying) look(ctx context.Context) (err error) {
	if o.mirror, err = o.repository(ctx, o.to); err != nil {
		return err
	}
	o.has, err = o.tagged(ctx)
	return err
}

// give puts an image onto the mirror, unless that has all of it.
func (o *copying) give(ctx context.Context, from blobSource, image *tree) error {
	root := image.root()
	o.result.Digest, o.result.SourceDigest = root.Digest.String(), image.source.String()
	switch pinned := o.to.Digest; {
	case pinned != "" && pinned != root.Digest.String():
		return changed(o.transfer.Image.To, root.Digest, root.Digest != image.source)
	case o.has.Digest != "" && o.has.Digest != root.Digest && !o.request.Overwrite:
		return remediedError{fmt.Errorf("%s:%s holds something else, with digest %s", o.to.Repository(), o.to.Tag,
			o.has.Digest), "say --overwrite to move the tag, or name another under mirror.images"}
	case o.has.Digest == root.Digest && o.lacking == nil: // otherwise it has been asked
		if whole, err := o.whole(ctx, root.Digest); whole || err != nil {
			return err
		}
	}
	if o.request.Progress != nil {
		o.request.Progress.Start(o.transfer.Image.From.String(), image.size())
	}
	if err := o.put(ctx, from, o.mirror, image, o.to.Tag); err != nil {
		return err
	}
	return o.verify(ctx, root.Digest)
}

// tagged returns what the mirror has under the tag.
func (o *copying) tagged(ctx context.Context) (ocispec.Descriptor, error) {
	has, err := o.mirror.head(ctx, o.to.Tag)
	if useless(err) {
		var found manifest
		found, err = o.mirror.get(ctx, o.to.Tag)
		has = found.Descriptor
	}
	if status := statusOf(err); err != nil && status != StatusMissing && status != StatusDenied {
		return has, err
	}
	return has, nil // a registry may deny what does not exist
}

// present reports whether the mirror has all of the image already. The source is asked for no
// more than a tag's digest.
func (o *copying) present(ctx context.Context) (bool, error) {
	if o.has.Digest == "" || len(o.request.Platforms) > 0 {
		return false, nil
	}
	for _, from := range o.transfer.sources() {
		wanted, err := digestOf(ctx, o.client, from)
		if err != nil {
			continue // whoever fetches it says so
		}
		if wanted != o.has.Digest {
			return false, nil
		}
		o.result.Source = from
		return o.whole(ctx, wanted)
	}
	return false, nil
}

// digestOf returns the digest that a reference has, or pins.
func digestOf(ctx context.Context, c *client, ref image.Reference) (digest.Digest, error) {
	if ref.Digest != "" {
		return digest.Digest(ref.Digest), nil
	}
	r, err := c.repository(ctx, ref)
	if err != nil {
		return "", err
	}
	head, err := r.head(ctx, reference(ref))
	return head.Digest, err
}

// whole reports whether the mirror serves all that an image names, whatever its index says.
func (o *copying) whole(ctx context.Context, root digest.Digest) (_ bool, err error) {
	if pinned := o.to.Digest; pinned != "" && pinned != root.String() {
		return false, nil
	}
	if o.lacking, err = o.missing(ctx, root); err != nil || len(o.lacking) > 0 {
		return false, err
	}
	o.result.Outcome, o.result.Digest = Present, root.String()
	o.result.SourceDigest = cmp.Or(o.result.SourceDigest, root.String())
	return true, nil
}

// missing returns what the mirror does not serve of an image, and keeps its root.
func (o *copying) missing(ctx context.Context, root digest.Digest) (lacks, error) {
	found, err := o.mirror.get(ctx, root.String())
	if err != nil {
		return absent(ocispec.Descriptor{}, "manifest", ocispec.Descriptor{Digest: root}, err)
	}
	o.root = found
	served, err := inspect(ctx, o.mirror, found, nil, (*repository).hasBlob)
	return slices.Concat(served.wanted, served.other), err
}

// unreachable reports whether a source could not be asked, or does not let one in.
func unreachable(err error) bool {
	status := statusOf(err)
	return status == StatusUnreachable || status == StatusDenied
}

// passing returns an error that is no answer of the registry.
func passing(err error) error {
	if statusCode(err) != 0 {
		return nil
	}
	return err
}

// verify checks what the mirror gives for the tag after a copy, and that what it lacked is there.
func (o *copying) verify(ctx context.Context, want digest.Digest) error {
	has, err := o.tagged(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("checking the copy: %w", err)
	case has.Digest == "":
		return remediedError{fmt.Errorf("checking the copy: %s:%s is not there, although the registry took it",
			o.to.Repository(), o.to.Tag), "check that it may be pulled with the same account, and the registry's log"}
	case has.Digest != want:
		return remediedError{fmt.Errorf("checking the copy: %s:%s has digest %s there, and %s was copied",
			o.to.Repository(), o.to.Tag, has.Digest, want),
			"the registry changes what it is given: say `digest: relock` for this rule, or name another mirror"}
	case len(o.lacking) == 0:
		return nil
	}
	left, err := o.missing(ctx, want)
	if err == nil && len(left) > 0 {
		err = remediedError{left, "the registry keeps what it has under a digest: delete the image there, collect its " +
			"garbage, and copy it again"}
	}
	return err
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
	var fetching fetchErrors
	var blob *blobError
	source := errors.As(err, &fetching) || errors.As(err, &blob)
	if source && fetching == nil {
		err = fetchError{source: r.Source, cause: err}
	}
	r.Err = fmt.Errorf("copying %s to %s: %w", r.Image.From, r.Image.To, plainly(err))
	if source {
		r.Remedy = sourceRemedy(err, failing(fetching, r))
	} else {
		r.Remedy = remedy(statusOf(err), r.Image.To, err)
	}
	return r
}

// failing returns the source that an error is about.
func failing(problems fetchErrors, r TransferResult) image.Reference {
	var last fetchError
	if len(problems) > 0 && errors.As(problems[len(problems)-1], &last) {
		return last.source
	}
	return cmp.Or(r.Source, r.Image.From.Canonical())
}

// sourceRemedy says what to do about a source that does not serve an image.
func sourceRemedy(err error, source image.Reference) string {
	var child childError
	var bad unusableError
	switch status := statusOf(err); {
	case errors.As(err, &bad):
		return "the source itself is damaged: copy from another one with --from"
	case errors.As(err, &child) && status == StatusMissing:
		return "the source itself is incomplete: copy from another one with --from, or leave the platform out with --platform, which changes the digest"
	case status == StatusMissing:
		return "check the name and tag of the image, or copy from another source with --from"
	default:
		return remedy(status, source, err)
	}
}

// fetchAny takes an image apart at the first source that has it.
func (c *client) fetchAny(ctx context.Context, t Transfer, platforms []string) (origin, *tree, error) {
	var problems []error
	for _, source := range t.sources() {
		r, taken, err := c.fetch(ctx, source, platforms)
		if err == nil {
			return origin{r, source}, taken, nil
		}
		if ctx.Err() != nil || errors.Is(err, errNoPlatform) {
			return origin{}, nil, err
		}
		problems = append(problems, fetchError{source: source, cause: err})
	}
	return origin{}, nil, fetchErrors(problems)
}

// origin is where an image is fetched.
type origin struct {
	*repository
	ref image.Reference
}

// fetch takes an image of a registry apart. Empty platforms mean all of them.
func (c *client) fetch(ctx context.Context, ref image.Reference, platforms []string) (*repository, *tree, error) {
	r, err := c.repository(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	root, err := r.get(ctx, reference(ref))
	if err != nil {
		return nil, nil, err
	}
	taken, err := readTree(ctx, r, root, platforms)
	return r, taken, err
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

// changed is the error for a reference that pins a digest that the copy has not.
func changed(ref image.Reference, has digest.Digest, platforms bool) error {
	err := fmt.Errorf("it has digest %s, and %s is pinned", has, ref)
	if platforms {
		err = fmt.Errorf("leaving platforms out changes its digest to %s, and %s is pinned", has, ref)
	}
	return remediedError{err, "copy all platforms, or say `digest: relock` and run `tekgate images lock` after the copy"}
}

// persist repeats what broke half-way, or what the registry refused for the moment.
func (o *Options) persist(ctx context.Context, try func() error) error {
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || attempt == o.Attempts || !mayPass(err) || ctx.Err() != nil {
			return err
		}
		if err := sleep(ctx, min(o.Backoff<<(attempt-1), o.MaxWait)); err != nil {
			return err
		}
	}
}

// mayPass reports whether another attempt may help. A token may expire while an upload is prepared.
func mayPass(err error) bool {
	var final finalError
	if errors.As(err, &final) {
		return false
	}
	said := answerIn(err)
	expired := said != nil && said.Method == http.MethodPut && said.StatusCode == http.StatusUnauthorized
	return expired || broken(err) || slices.Contains(momentary, statusCode(err))
}
