package registry

import (
	"context"
	"errors"
	"fmt"
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
	mostStatements = 100
	maxStatement   = 1 << 20 // bytes
	maxStatements  = 8 << 20
)

// Statements returns the signatures and attestations that the mirror stores beside each image of the
// results, by the digest that was found there. Whether they are genuine is for internal/signature to
// say. The errors say why those of an image could not be read. Both have an element for each result.
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
			if found[i], errs[i] = c.statements(ctx, r); errs[i] != nil {
				errs[i] = fmt.Errorf("reading its signatures: %w", plainly(errs[i]))
			}
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
	referrers, err := referrersOf(ctx, r, subject)
	if err != nil {
		return nil, err
	}
	tag := subject.Algorithm().String() + "-" + subject.Encoded()
	names := []string{tag, tag + ".sig", tag + ".att"}
	for _, referrer := range referrers {
		names = append(names, referrer.name)
	}
	reader := statementReader{repository: r, read: map[digest.Digest]bool{}}
	for _, name := range names {
		if err := reader.add(ctx, name); err != nil {
			return nil, err
		}
	}
	return reader.statements, nil
}

// statementReader collects the statements of one image.
type statementReader struct {
	*repository
	read       map[digest.Digest]bool // manifests
	bytes      int64
	statements []Statement
}

// add reads a manifest, or the members of an index, that the repository has under a name. What is
// not there and what is no manifest is passed over: it must not hide the statements beside it.
func (s *statementReader) add(ctx context.Context, name string) error {
	found, err := s.get(ctx, name)
	if statusCode(err) == http.StatusNotFound {
		return nil
	}
	if err != nil || s.read[found.Digest] {
		return err
	}
	s.read[found.Digest] = true
	if len(s.read) > mostStatements {
		return errManyStatements
	}
	parsed, err := parse(found)
	if err != nil {
		return nil //nolint:nilerr // it is none that says something about an image
	}
	for _, member := range parsed.children {
		if err := s.add(ctx, member.Digest.String()); err != nil {
			return err
		}
	}
	for _, layer := range parsed.blobs {
		if err := s.addLayer(ctx, layer); err != nil {
			return err
		}
	}
	return nil
}

var errManyStatements = errors.New("there are too many to read them")

func (s *statementReader) addLayer(ctx context.Context, layer ocispec.Descriptor) error {
	if layer.MediaType != SimpleSigning && layer.MediaType != Envelope && !IsBundle(layer.MediaType) {
		return nil
	}
	if layer.Size > maxStatement {
		return nil
	}
	if s.bytes += layer.Size; s.bytes > maxStatements || len(s.statements) == mostStatements {
		return errManyStatements
	}
	content, err := s.getBlob(ctx, layer)
	if statusCode(err) == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	s.statements = append(s.statements,
		Statement{MediaType: layer.MediaType, Annotations: layer.Annotations, Content: content})
	return nil
}

// Unsigned notes that an image is not signed as it should be, and why.
func (r *Result) Unsigned(err error) {
	r.Status = StatusUnsigned
	r.Err = fmt.Errorf("checking who signed %s: %w", r.Image.To, err)
	r.Remedy = "`tekgate images copy` takes the signatures of an image along; if its publisher signs with another key, " +
		"name that one; otherwise do not use the image"
}
