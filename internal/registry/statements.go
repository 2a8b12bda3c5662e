package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Media types of what signs an image or states something about it.
const (
	// SimpleSigning is what cosign signs in its older format: a JSON document that names a digest
	// (containers/image, "Container Signature Format"). The signature is an annotation.
	SimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	// Envelope is an attestation in cosign's older format (secure-systems-lab/dsse).
	Envelope = "application/vnd.dsse.envelope.v1+json"
	// bundlePrefix begins the media types of all versions of Sigstore's bundles (sigstore/protobuf-specs).
	bundlePrefix = "application/vnd.dev.sigstore.bundle"
)

// IsBundle reports whether a media type is that of a Sigstore bundle.
func IsBundle(mediaType string) bool { return strings.HasPrefix(mediaType, bundlePrefix) }

// Statement is a signature or an attestation that is stored beside an image.
type Statement struct {
	// MediaType is SimpleSigning, Envelope, or that of a bundle, see IsBundle.
	MediaType string
	// Annotations are those of its layer. Cosign's older formats keep signature and certificate there.
	Annotations map[string]string
	Content     []byte
}

// What is read about one image at most. Images have a handful of statements of some KiB each; larger
// ones hold lists of packages, and are passed over.
const (
	mostManifests  = 1000
	mostStatements = 100
	maxStatement   = 1 << 20 // bytes
	maxStatements  = 16 << 20
)

// Statements returns the signatures and attestations that the mirror stores beside each image of the
// results, by the digest that was found there. Whether they are genuine is for internal/signature to
// say. The errors say what could not be read beside an image: what was read may be enough. Both have
// an element for each result.
func Statements(ctx context.Context, results []Result, options Options) ([][]Statement, []error) {
	found, errs := make([][]Statement, len(results)), make([]error, len(results))
	c, err := newClient(options)
	if err != nil {
		return found, slices.Repeat([]error{err}, len(results))
	}
	var group errgroup.Group
	group.SetLimit(c.Jobs)
	for i, r := range results {
		group.Go(func() error {
			found[i], errs[i] = c.statements(ctx, r)
			return nil
		})
	}
	_ = group.Wait()
	return found, errs
}

func (c *client) statements(ctx context.Context, result Result) ([]Statement, error) {
	subject, err := digest.Parse(result.Digest)
	if err != nil {
		return nil, err
	}
	r, err := c.repository(ctx, result.Image.To)
	if err != nil {
		return nil, err
	}
	s := statementReader{repository: r, read: map[digest.Digest]bool{}}
	tag := subject.Algorithm().String() + "-" + subject.Encoded()
	s.add(ctx, tag+".sig")
	s.add(ctx, tag)
	listed, err := referrers(ctx, r, subject)
	if !slices.Contains(noReferrers, statusCode(err)) {
		s.failed(err)
	}
	s.addAll(ctx, listed)
	s.add(ctx, tag+".att")
	return s.statements, s.err
}

// noReferrers are the answers of registries without a referrers API.
var noReferrers = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed}

// statementReader collects the statements of one image. What cannot be read, what is no manifest and
// what is too large is passed over: it must not hide the statements beside it.
type statementReader struct {
	*repository
	read       map[digest.Digest]bool // manifests
	bytes      int
	statements []Statement
	err        error // the first
}

func (s *statementReader) failed(err error) {
	if s.err == nil {
		s.err = err
	}
}

// full reports whether nothing more is read.
func (s *statementReader) full(ctx context.Context) bool {
	if len(s.read) < mostManifests && len(s.statements) < mostStatements && s.bytes < maxStatements {
		return ctx.Err() != nil
	}
	s.failed(errManyStatements)
	return true
}

var errManyStatements = errors.New("there are too many of them, and not all were read")

// addAll adds manifests, those that say that they hold a bundle before the others.
func (s *statementReader) addAll(ctx context.Context, all []ocispec.Descriptor) {
	slices.SortStableFunc(all, func(a, b ocispec.Descriptor) int {
		switch first, second := IsBundle(a.ArtifactType), IsBundle(b.ArtifactType); {
		case first == second:
			return 0
		case first:
			return -1
		}
		return 1
	})
	for _, d := range all {
		s.add(ctx, d.Digest.String())
	}
}

// add reads a manifest, or the members of an index, that the repository has under a name.
func (s *statementReader) add(ctx context.Context, name string) {
	if s.full(ctx) {
		return
	}
	found, err := s.get(ctx, name)
	if status := statusOf(err); err != nil && status != StatusMissing && status != StatusUnusable {
		s.failed(err)
	}
	if err != nil || s.read[found.Digest] {
		return
	}
	s.read[found.Digest] = true
	parsed, err := parse(found)
	if err != nil {
		return
	}
	s.addAll(ctx, parsed.children)
	for _, layer := range parsed.blobs {
		s.addLayer(ctx, layer)
	}
}

func (s *statementReader) addLayer(ctx context.Context, layer ocispec.Descriptor) {
	if layer.MediaType != SimpleSigning && layer.MediaType != Envelope && !IsBundle(layer.MediaType) ||
		layer.Size <= 0 || layer.Size > maxStatement || s.full(ctx) {
		return
	}
	body, err := s.Fetch(ctx, layer)
	if err != nil {
		if status := statusOf(err); status != StatusMissing && status != StatusUnusable {
			s.failed(err)
		}
		return
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, layer.Size))
	if s.bytes += len(content); err != nil {
		s.failed(err)
		return
	}
	if layer.Digest.Algorithm().FromBytes(content) == layer.Digest {
		s.statements = append(s.statements,
			Statement{MediaType: layer.MediaType, Annotations: layer.Annotations, Content: content})
	}
}

// Unsigned notes that an image is not signed as it should be, and why.
func (r *Result) Unsigned(err error) {
	r.Status = StatusUnsigned
	r.Err = fmt.Errorf("checking who signed %s: %w", r.Image.To, err)
	r.Remedy = "`tekgate images copy` takes the signatures of an image along; if its publisher signs with another key, " +
		"name that one; otherwise do not use the image"
}

// Unread notes that what is stored beside an image could not be read, and that nothing that could be
// says that it is signed.
func (r *Result) Unread(err error) {
	if errors.Is(err, errManyStatements) {
		r.Unsigned(err)
		return
	}
	r.fail(statusOf(err), err)
	r.Err = fmt.Errorf("reading the signatures of %s: %w", r.Image.To, plainly(err))
}
