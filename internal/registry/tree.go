package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// tree is an image taken apart: its manifests, children before those that name them, so the
// last is the image itself.
type tree struct {
	nodes []*node
	// source is the digest that the image has where it came from. It differs from that of the
	// root if only some of the platforms were taken.
	source digest.Digest
}

// node is one manifest or index of a tree.
type node struct {
	manifest
	// blobs are the configuration and the layers that a manifest names.
	blobs []ocispec.Descriptor
	// children are what an index names.
	children []ocispec.Descriptor
}

// config is the configuration of an image.
func (n *node) config() ocispec.Descriptor { return n.blobs[len(n.blobs)-1] }

// root is the manifest of the image as a whole.
func (t *tree) root() *node { return t.nodes[len(t.nodes)-1] }

// size is the sum of what would have to be moved, in bytes.
func (t *tree) size() (total int64) {
	for _, blob := range t.blobs() {
		total += blob.Size
	}
	return total
}

// blobs are all blobs of an image, each once.
func (t *tree) blobs() []ocispec.Descriptor {
	var all []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	for _, n := range t.nodes {
		for _, blob := range n.blobs {
			if !seen[blob.Digest] {
				seen[blob.Digest] = true
				all = append(all, blob)
			}
		}
	}
	return all
}

// errNoPlatform says that an image has none of the platforms asked for.
var errNoPlatform error = remediedError{errors.New("it is there for none of the platforms asked for"),
	"name platforms with --platform that the image has, or leave that out to take all"}

// fetcher reads the manifests and configurations of an image, from a registry or from a layout.
type fetcher interface {
	get(ctx context.Context, reference string) (manifest, error)
	getBlob(ctx context.Context, blob ocispec.Descriptor) ([]byte, error)
}

// childError means that an image names something that its registry does not have.
type childError struct {
	child ocispec.Descriptor
	cause error
}

func (e childError) Error() string {
	return fmt.Sprintf("it lists %s, and reading that failed: %v", describe(e.child), plainly(e.cause))
}

func (e childError) Unwrap() error { return e.cause }

// readTree reads an image whose root is known. Empty platforms mean all of them. Children are
// read at the same time.
func readTree(ctx context.Context, from fetcher, root manifest, platforms []string) (*tree, error) {
	t := &tree{source: root.Digest}
	if len(platforms) > 0 {
		var err error
		if root, err = chosen(ctx, from, root, platforms); err != nil {
			return nil, err
		}
	}
	return t, t.add(ctx, from, root, 0)
}

// deepest is how deeply indexes may be nested.
const deepest = 4

// add adds what a manifest names, and then the manifest.
func (t *tree) add(ctx context.Context, from fetcher, m manifest, depth int) error {
	n, err := parse(m)
	if err != nil {
		return err
	}
	if depth > deepest {
		return fmt.Errorf("its indexes are nested more than %d deep", deepest)
	}
	children := make([]manifest, len(n.children))
	group, inner := errgroup.WithContext(ctx)
	for i, child := range n.children {
		group.Go(func() error {
			found, err := from.get(inner, child.Digest.String())
			if err == nil {
				err = found.fits(child)
			}
			if err != nil {
				return childError{child: child, cause: err}
			}
			found.MediaType = child.MediaType
			children[i] = found
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, child := range children {
		if t.has(child.Digest) {
			continue
		}
		if err := t.add(ctx, from, child, depth+1); err != nil {
			return err
		}
	}
	t.nodes = append(t.nodes, n)
	return nil
}

func (t *tree) has(digest digest.Digest) bool {
	return slices.ContainsFunc(t.nodes, func(n *node) bool { return n.Digest == digest })
}

// parse reads what a manifest names.
func parse(m manifest) (*node, error) {
	n := &node{manifest: m}
	if m.isIndex() {
		index, err := m.index()
		if err != nil {
			return nil, err
		}
		for _, child := range index.Manifests {
			if !slices.Contains(indexTypes, child.MediaType) && !slices.Contains(manifestTypes, child.MediaType) {
				return nil, unusable("it lists %s with media type %s, which is neither an image nor an index", child.Digest,
					child.MediaType)
			}
		}
		n.children = index.Manifests
		return n, validDigests(n.children)
	}
	if !slices.Contains(manifestTypes, m.MediaType) {
		return nil, unusable("manifest %s has media type %q, which is neither an image nor an index", m.Digest, m.MediaType)
	}
	var image ocispec.Manifest
	if err := json.Unmarshal(m.raw, &image); err != nil {
		return nil, unusable("manifest %s is not valid JSON: %v", m.Digest, err)
	}
	n.blobs = append(slices.Clone(image.Layers), image.Config)
	return n, validDigests(n.blobs)
}

// validDigests refuses digests that are no digests, because they become parts of URLs and file names.
func validDigests(all []ocispec.Descriptor) error {
	for _, d := range all {
		if err := d.Digest.Validate(); err != nil {
			return unusable("it names %q: %v", d.Digest, err)
		}
	}
	return nil
}

func (m manifest) index() (ocispec.Index, error) {
	var index ocispec.Index
	if err := json.Unmarshal(m.raw, &index); err != nil {
		return index, unusable("index %s is not valid JSON: %v", m.Digest, err)
	}
	return index, nil
}

// chosen returns an index of the chosen platforms alone. If these are all that there are, it is
// the index itself, and so is an image for one of them.
func chosen(ctx context.Context, from fetcher, root manifest, platforms []string) (manifest, error) {
	has, err := platformsOf(ctx, from, root)
	if err == nil && len(missingOf(platforms, has)) == len(platforms) {
		err = errNoPlatform
	}
	if err != nil || !root.isIndex() {
		return root, err
	}
	index, err := root.index()
	if err != nil {
		return root, err
	}
	var kept []ocispec.Descriptor
	wanted := pulled(index.Manifests, platforms)
	for i, d := range index.Manifests {
		if wanted[i] {
			kept = append(kept, d)
		}
	}
	if len(kept) == len(index.Manifests) {
		return root, nil
	}
	index.Manifests = kept
	raw, err := json.Marshal(index)
	if err != nil {
		return root, err
	}
	root.raw, root.Digest, root.Size = raw, digest.FromBytes(raw), int64(len(raw))
	return root, nil
}

// isAttestation reports whether a descriptor of an index is no image that a node runs, such as
// BuildKit's attestations, whose platform is "unknown/unknown".
func isAttestation(d ocispec.Descriptor) bool {
	return d.Platform != nil && (d.Platform.OS == "unknown" || d.Platform.OS == "")
}

// describe names a descriptor of an index for people.
func describe(d ocispec.Descriptor) string {
	switch {
	case d.Platform == nil:
		return d.Digest.String()
	case isAttestation(d):
		return "the attestation " + d.Digest.String()
	}
	return platformName(*d.Platform) + ", " + d.Digest.String()
}
