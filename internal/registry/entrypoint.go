package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
)

// Entrypoint reads which program an image starts on each of its platforms. Attestations, and
// platforms that the registry lacks, are passed over, so that the answer is also right for a
// mirror that has some of the platforms.
func Entrypoint(ctx context.Context, ref image.Reference, options Options) (entrypoint.Image, error) {
	c, err := newClient(options)
	if err != nil {
		return entrypoint.Image{}, err
	}
	descriptor, err := c.describe(ctx, ref)
	if err != nil {
		return entrypoint.Image{}, fmt.Errorf("reading the entrypoint of %s: %w", ref, err)
	}
	found := entrypoint.Image{Image: ref.String(), Digest: descriptor.Digest.String()}
	if err := addPrograms(&found, descriptor); err != nil {
		return entrypoint.Image{}, fmt.Errorf("reading the entrypoint of %s: %w", ref, err)
	}
	return found, nil
}

// describe asks for the manifest or index of an image.
func (c *client) describe(ctx context.Context, ref image.Reference) (*remote.Descriptor, error) {
	var options []name.Option
	if c.plain(ref.Host) {
		options = append(options, name.Insecure)
	}
	written := ref.Repository() + ":" + cmp.Or(ref.Tag, "latest")
	if ref.Digest != "" {
		written = ref.Repository() + "@" + ref.Digest
	}
	at, err := name.ParseReference(written, options...)
	if err != nil {
		return nil, err
	}
	return remote.Get(at, remote.WithContext(ctx), remote.WithAuthFromKeychain(c.Keychain),
		remote.WithTransport(c.transport), remote.WithUserAgent("tekgate"))
}

func addPrograms(found *entrypoint.Image, descriptor *remote.Descriptor) error {
	if !descriptor.MediaType.IsIndex() {
		img, err := descriptor.Image()
		if err != nil {
			return err
		}
		return addProgram(found, img, nil)
	}
	index, err := descriptor.ImageIndex()
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	var problems []error
	for _, d := range manifest.Manifests {
		if !d.MediaType.IsImage() || d.Platform != nil && d.Platform.OS == "unknown" {
			continue
		}
		img, err := index.Image(d.Digest)
		if err == nil {
			err = addProgram(found, img, d.Platform)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	if len(found.Programs) == 0 {
		return errors.Join(append(problems, errors.New("none of its platforms can be read"))...)
	}
	return nil
}

// addProgram adds what an image starts. An index names its platform, or else its configuration.
func addProgram(found *entrypoint.Image, img v1.Image, platform *v1.Platform) error {
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	named := "unknown"
	if platform == nil {
		platform = config.Platform() // nil if it names none
	}
	if platform != nil {
		named = platform.String()
	}
	found.Add(named, config.Config.Entrypoint, config.Config.Cmd)
	return nil
}
