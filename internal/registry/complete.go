package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// lack is something that an image names and its registry does not serve.
type lack struct {
	// of is the member of an index that lacks it. It is the zero value if that is the image itself.
	of ocispec.Descriptor
	// what it is: "manifest", "configuration" or "layer".
	what   string
	digest string
	cause  error
}

// lacks are what a registry does not serve of an image.
type lacks []lack

// Error names the first of each platform.
func (l lacks) Error() string {
	var said []string
	for i, one := range l {
		if i > 0 && l[i-1].of.Digest == one.of.Digest {
			continue
		}
		said = append(said, one.String())
	}
	if n := len(l) - len(said); n > 0 {
		return fmt.Sprintf("%s, and %d more of them", strings.Join(said, "; "), n)
	}
	return strings.Join(said, "; ")
}

func (l lack) String() string {
	of := ""
	switch {
	case l.of.Digest == "":
	case isAttestation(l.of):
		of = " of its attestation"
	case l.of.Platform != nil:
		of = " for " + platformName(*l.of.Platform)
	}
	state := "is not there"
	var bad unusableError
	switch {
	case errors.As(l.cause, &bad):
		state = "cannot be used"
	case statusCode(l.cause) != http.StatusNotFound:
		state = "is not served"
	}
	return fmt.Sprintf("the %s%s (%s) %s: %v", l.what, of, shortDigest(l.digest), state, plainly(l.cause))
}

// Unwrap returns the first cause, which decides what the remedy is.
func (l lacks) Unwrap() error { return l[0].cause }

// shortDigest is as much of a digest as people compare.
func shortDigest(digest string) string { return digest[:min(19, len(digest))] + "…" }

// inspection is what a registry serves of an image.
type inspection struct {
	// wanted is missing of the platforms that were asked for, other of the rest. Only some clients
	// need the latter.
	wanted, other lacks
	// odd says what is unusual about the index, or is empty.
	odd string
}

// inspect asks a registry for all that an image names: the manifests, the configurations and the
// layers. asks says how it asks for blobs of the wanted platforms; of others it asks for them by
// HEAD. Empty platforms mean that all are wanted. The error says that the registry cannot be asked.
func inspect(ctx context.Context, r *repository, root manifest, platforms []string,
	asks blobQuestion) (inspection, error) {
	var found inspection
	if !root.isIndex() {
		lacking, err := missingBlobs(ctx, r, root, ocispec.Descriptor{}, asks)
		found.wanted = lacking
		return found, err
	}
	index, err := root.index()
	if err != nil {
		return found, err
	}
	found.odd = oddity(index.Manifests)
	wanted := pulled(index.Manifests, platforms)
	each := make([]lacks, len(index.Manifests))
	group, inner := errgroup.WithContext(ctx)
	for i, member := range index.Manifests {
		group.Go(func() (err error) {
			ask := asks
			if !wanted[i] {
				ask = (*repository).hasBlob
			}
			each[i], err = missingOfMember(inner, r, member, ask)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return found, err
	}
	for i := range each {
		if wanted[i] {
			found.wanted = append(found.wanted, each[i]...)
		} else {
			found.other = append(found.other, each[i]...)
		}
	}
	return found, nil
}

// blobQuestion asks whether a repository has a blob.
type blobQuestion func(*repository, context.Context, ocispec.Descriptor) error

// oddity says what is unusual about the members of an index, or is empty. Registries and tools
// produce such indexes, and clients differ in what they make of them.
func oddity(members []ocispec.Descriptor) string {
	seen := map[string]bool{}
	for _, d := range members {
		if isAttestation(d) {
			continue
		}
		if d.Platform == nil {
			return "it lists " + shortDigest(d.Digest.String()) + " without a platform"
		}
		if slices.Contains(indexTypes, d.MediaType) {
			return "it lists " + shortDigest(d.Digest.String()) + ", which is an index itself"
		}
		p := platformName(*d.Platform) + " " + d.Platform.OSVersion
		if seen[p] {
			return "it lists " + platformName(*d.Platform) + " twice"
		}
		seen[p] = true
	}
	return ""
}

// missingOfMember reads a member of an index and asks for what it names.
func missingOfMember(ctx context.Context, r *repository, member ocispec.Descriptor,
	asks blobQuestion) (lacks, error) {
	found, err := r.get(ctx, member.Digest.String())
	if err == nil {
		if err = found.fits(member); err != nil {
			err = remediedError{err, "the index itself is wrong, wherever it is: name another image under mirror.images"}
		}
	}
	if err != nil {
		return absent(member, "manifest", member, err)
	}
	found.MediaType = member.MediaType
	if !found.isIndex() {
		return missingBlobs(ctx, r, found, member, asks)
	}
	nested, err := inspect(ctx, r, found, nil, asks)
	return slices.Concat(nested.wanted, nested.other), err
}

// missingBlobs asks for the blobs of a manifest, all at the same time.
func missingBlobs(ctx context.Context, r *repository, m manifest, member ocispec.Descriptor,
	asks blobQuestion) (lacks, error) {
	n, err := parse(m)
	if err != nil {
		return absent(member, "manifest", m.Descriptor, err)
	}
	each := make([]lacks, len(n.blobs))
	group, inner := errgroup.WithContext(ctx)
	for i, blob := range n.blobs {
		group.Go(func() error {
			err := asks(r, inner, blob)
			if err == nil || len(blob.URLs) > 0 && statusOf(err) == StatusMissing { // nodes fetch it from there
				return nil
			}
			what := "layer"
			if i == len(n.blobs)-1 {
				what = "configuration"
			}
			each[i], err = absent(member, what, blob, err)
			return err
		})
	}
	err = group.Wait()
	return slices.Concat(each...), err
}

// absent tells an answer of the registry, of which a client learns that it cannot have something,
// from a registry that is out of reach.
func absent(member ocispec.Descriptor, what string, d ocispec.Descriptor, err error) (lacks, error) {
	if !answered(err) {
		return nil, err
	}
	return lacks{{of: member, what: what, digest: d.Digest.String(), cause: err}}, nil
}

// answered reports whether an error is about a registry's answer, rather than that there was none.
func answered(err error) bool {
	var page webPageError
	var bad unusableError
	return statusCode(err) != 0 || errors.As(err, &page) || errors.As(err, &bad)
}

// fromCache reports whether an answer is that of a pull-through cache that could not fetch
// something, rather than of a registry that does not have it.
func fromCache(err error) bool {
	code := statusCode(err)
	return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
}
