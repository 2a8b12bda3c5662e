package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/internal/image"
)

// Signatures, attestations and SBOMs are stored beside their image, in its repository:
//
//   - under tags made of its digest: sha256-HEX.sig, .att and .sbom (cosign v2), and sha256-HEX, an
//     index of referrers, where a registry has no referrers API (distribution-spec v1.1, "Referrers
//     Tag Schema");
//   - as manifests whose subject is the image, which the referrers API lists.
//
// They are worth nothing without it, so they move with it.

// attachment is something that belongs to an image.
type attachment struct {
	// name is its tag, or its digest if the referrers API lists it.
	name string
	// tagged says that the name is a tag.
	tagged bool
}

// attachedTo returns what is stored beside an image in its repository. subjects are the digests of
// its index and of the index's members. A registry that lists no tags has none to find.
func attachedTo(ctx context.Context, r *repository, subjects []digest.Digest) ([]attachment, error) {
	var byTag, byAPI []attachment
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		byTag, err = attachedByTag(inner, r, subjects)
		return err
	})
	group.Go(func() error {
		listed, err := referrers(inner, r, subjects[0])
		for _, d := range listed {
			byAPI = append(byAPI, attachment{name: d.Digest.String()})
		}
		return passing(err)
	})
	err := group.Wait()
	found := slices.Concat(byAPI, byTag)
	slices.SortFunc(found, func(a, b attachment) int { return strings.Compare(a.name, b.name) })
	return found, err
}

// mostTags bounds how many tags of a repository are looked through.
const mostTags = 20_000

func attachedByTag(ctx context.Context, r *repository, subjects []digest.Digest) (found []attachment, err error) {
	seen := 0
	err = r.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			if belongsTo(tag, subjects) {
				found = append(found, attachment{name: tag, tagged: true})
			}
		}
		if seen += len(tags); seen > mostTags {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || err != nil && statusCode(err) != 0 {
		return found, nil // many registries do not list tags to everybody
	}
	return found, err
}

var errEnough = errors.New("enough tags were looked through")

// belongsTo reports whether a tag is made of the digest of one of the subjects.
func belongsTo(tag string, subjects []digest.Digest) bool {
	return slices.ContainsFunc(subjects, func(d digest.Digest) bool {
		rest, ok := strings.CutPrefix(tag, d.Algorithm().String()+"-"+d.Encoded())
		return ok && (rest == "" || strings.HasPrefix(rest, "."))
	})
}

// referrers asks the referrers API. A registry without it answers with an error, or with something
// else.
func referrers(ctx context.Context, r *repository, subject digest.Digest) (found []ocispec.Descriptor, err error) {
	err = r.options.persist(ctx, func() error {
		response, err := r.ask(ctx, http.MethodGet, "referrers", subject.String(), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		var index ocispec.Index
		if mediaType, err := r.mediaType(response); err != nil || mediaType != ocispec.MediaTypeImageIndex {
			return nil
		}
		if err := json.NewDecoder(io.LimitReader(response.Body, maxManifest)).Decode(&index); err != nil {
			return fmt.Errorf("reading the referrers of %s: %w", subject, err)
		}
		found = slices.DeleteFunc(index.Manifests,
			func(d ocispec.Descriptor) bool { return d.Digest.Validate() != nil })
		return nil
	})
	return found, err
}

// subjectsOf are the digests of an image to which something may be attached: its own, and those of
// the members of an index.
func subjectsOf(root manifest) []digest.Digest {
	subjects := []digest.Digest{root.Digest}
	if root.isIndex() {
		if index, err := root.index(); err == nil {
			for _, d := range index.Manifests {
				subjects = append(subjects, d.Digest)
			}
		}
	}
	return subjects
}

// attach copies what belongs to the image, unless the mirror has it. Nothing belongs to an index of
// fewer platforms, which has another digest.
func (o *copying) attach(ctx context.Context, from image.Reference, root manifest) error {
	if o.result.Subset() {
		return nil
	}
	source, err := o.repository(ctx, from)
	if err != nil {
		return err
	}
	found, err := attachedTo(ctx, source, subjectsOf(root))
	if err != nil {
		return fetchErrors{fetchError{source: from, cause: err}}
	}
	copied := make([]bool, len(found))
	group, inner := errgroup.WithContext(ctx)
	for i, a := range found {
		group.Go(func() (err error) {
			if copied[i], err = o.attachOne(inner, origin{source, from}, a); err != nil {
				return fmt.Errorf("copying %s, which belongs to it: %w", a.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	o.result.Attached = len(found)
	if slices.Contains(copied, true) {
		o.result.Outcome = Copied
	}
	return nil
}

// attachOne reports whether it had to copy the attachment.
func (o *copying) attachOne(ctx context.Context, source origin, a attachment) (bool, error) {
	root, err := source.get(ctx, a.name)
	if err != nil {
		return false, fetchErrors{fetchError{source: source.ref, cause: err}}
	}
	if has, err := o.mirror.head(ctx, a.name); err == nil && has.Digest == root.Digest {
		served, err := inspect(ctx, o.mirror, root, nil, (*repository).hasBlob)
		if err == nil && len(served.wanted)+len(served.other) == 0 {
			return false, nil
		}
	}
	taken, err := readTree(ctx, source, root, nil)
	if err != nil {
		return false, fetchErrors{fetchError{source: source.ref, cause: err}}
	}
	return true, o.put(ctx, source, o.mirror, taken, a.name)
}
