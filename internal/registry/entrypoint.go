package registry

import (
	"context"
	"errors"
	"fmt"

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
	at, err := c.exact(ref)
	if err != nil {
		return entrypoint.Image{}, fmt.Errorf("reading the entrypoint of %s: %w", ref, err)
	}
	descriptor, err := remote.Get(at, append(c.remote(), remote.WithContext(ctx))...)
	if err != nil {
		return entrypoint.Image{}, fmt.Errorf("reading the entrypoint of %s: %w", ref, err)
	}
	found := entrypoint.Image{Image: ref.String(), Digest: descriptor.Digest.String()}
	if err := addPrograms(&found, descriptor); err != nil {
		return entrypoint.Image{}, fmt.Errorf("reading the entrypoint of %s: %w", ref, err)
	}
	return found, nil
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
	if platform == nil {
		platform = config.Platform()
	}
	found.Add(platform.String(), config.Config.Entrypoint, config.Config.Cmd)
	return nil
}
