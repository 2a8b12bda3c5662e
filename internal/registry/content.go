package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tekgate/tekgate/internal/image"
)

// content is an image taken apart: its manifests, children before those that
// name them, so the last is the image itself.
type content struct {
	parts []part
	// source is the digest that the image has where it came from. It differs
	// from digest where only some of the platforms were taken.
	source, digest v1.Hash
	seen           map[v1.Hash]bool
}

// part is one manifest, and the layers and configuration that it names and no
// part before it does.
type part struct {
	raw    rawManifest
	digest v1.Hash
	layers []v1.Layer
}

// rawManifest is a manifest to the last byte, which is what its digest covers.
type rawManifest struct {
	bytes     []byte
	mediaType types.MediaType
}

func (m rawManifest) RawManifest() ([]byte, error)        { return m.bytes, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

// root is the manifest of the image as a whole.
func (c *content) root() part { return c.parts[len(c.parts)-1] }

// size is the sum of what would have to be moved, in bytes.
func (c *content) size() (total int64) {
	for _, p := range c.parts {
		for _, l := range p.layers {
			n, _ := l.Size()
			total += n
		}
	}
	return total
}

// errNoPlatform says that an image has none of the platforms asked for.
var errNoPlatform = errors.New("it is there for none of the platforms asked for")

// fetch takes an image of a registry apart. Empty platforms mean all of them.
func (c *client) fetch(ctx context.Context, ref image.Reference, platforms []string) (*content, error) {
	at, err := c.exact(ref)
	if err != nil {
		return nil, err
	}
	descriptor, err := remote.Get(at, append(c.remote(), remote.WithContext(ctx))...)
	if err != nil {
		return nil, err
	}
	if descriptor.MediaType.IsIndex() {
		index, err := descriptor.ImageIndex()
		if err != nil {
			return nil, err
		}
		return takeApart(index, platforms)
	}
	img, err := descriptor.Image()
	if err != nil {
		return nil, err
	}
	has, err := platformsOf(descriptor)
	if err != nil {
		return nil, err
	}
	if len(platforms) > 0 && len(missingOf(platforms, has)) == len(platforms) {
		return nil, errNoPlatform
	}
	taken := &content{seen: map[v1.Hash]bool{}, source: descriptor.Digest, digest: descriptor.Digest}
	return taken, taken.image(img)
}

// takeApart takes an index apart, after leaving out other platforms.
func takeApart(index v1.ImageIndex, platforms []string) (*content, error) {
	source, err := index.Digest()
	if err != nil {
		return nil, err
	}
	if len(platforms) > 0 {
		index, err = subset(index, platforms)
		if err != nil {
			return nil, err
		}
	}
	digest, err := index.Digest()
	if err != nil {
		return nil, err
	}
	taken := &content{seen: map[v1.Hash]bool{}, source: source, digest: digest}
	return taken, taken.index(index)
}

// subset returns an index of the chosen platforms alone. Where these are all
// that there are, it is the index itself.
func subset(index v1.ImageIndex, platforms []string) (v1.ImageIndex, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	chosen := func(d v1.Descriptor) bool {
		return d.Platform != nil && slices.ContainsFunc(platforms,
			func(p string) bool { return satisfies(platformName(d.Platform), p) })
	}
	kept := 0
	for _, d := range manifest.Manifests {
		if chosen(d) {
			kept++
		}
	}
	switch kept {
	case 0:
		return nil, errNoPlatform
	case len(manifest.Manifests):
		return index, nil
	}
	return mutate.RemoveManifests(index, func(d v1.Descriptor) bool { return !chosen(d) }), nil
}

func (c *content) index(index v1.ImageIndex) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		if c.seen[d.Digest] {
			continue
		}
		if err := c.child(index, d); err != nil {
			return err
		}
	}
	return c.add(index, nil)
}

func (c *content) child(index v1.ImageIndex, d v1.Descriptor) error {
	switch {
	case d.MediaType.IsIndex():
		nested, err := index.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		return c.index(nested)
	case d.MediaType.IsImage():
		img, err := index.Image(d.Digest)
		if err != nil {
			return err
		}
		return c.image(img)
	}
	return fmt.Errorf("manifest %s has media type %s, which is neither an image nor an index", d.Digest, d.MediaType)
}

func (c *content) image(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	config, err := partial.ConfigLayer(img)
	if err != nil {
		return err
	}
	var fresh []v1.Layer
	for _, l := range append(layers, config) {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		if !c.seen[digest] {
			c.seen[digest] = true
			fresh = append(fresh, l)
		}
	}
	return c.add(img, fresh)
}

// manifest is what images and indexes have in common.
type manifest interface {
	RawManifest() ([]byte, error)
	MediaType() (types.MediaType, error)
	Digest() (v1.Hash, error)
}

func (c *content) add(m manifest, layers []v1.Layer) error {
	raw, err := m.RawManifest()
	if err != nil {
		return err
	}
	mediaType, err := m.MediaType()
	if err != nil {
		return err
	}
	digest, err := m.Digest()
	if err != nil {
		return err
	}
	c.seen[digest] = true
	c.parts = append(c.parts, part{raw: rawManifest{raw, mediaType}, digest: digest, layers: layers})
	return nil
}
