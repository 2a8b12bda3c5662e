package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

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
	r, err := c.repository(ctx, ref)
	if err != nil {
		return entrypoint.Image{}, err
	}
	found := entrypoint.Image{Image: ref.String()}
	root, err := r.get(ctx, reference(ref))
	if err == nil {
		found.Digest = root.Digest.String()
		err = addPrograms(ctx, &found, r, root)
	}
	if err != nil {
		return entrypoint.Image{}, fmt.Errorf("reading the entrypoint of %s: %w", ref, plainly(err))
	}
	return found, nil
}

func addPrograms(ctx context.Context, found *entrypoint.Image, r *repository, root manifest) error {
	if !root.isIndex() {
		return addProgram(ctx, found, r, root, nil)
	}
	index, err := root.index()
	if err != nil {
		return err
	}
	var problems []error
	for _, d := range index.Manifests {
		if !slices.Contains(manifestTypes, d.MediaType) || isAttestation(d) {
			continue
		}
		member, err := r.get(ctx, d.Digest.String())
		if err == nil {
			err = addProgram(ctx, found, r, member, d.Platform)
		}
		if err != nil {
			problems = append(problems, childError{child: d, cause: err})
		}
	}
	if len(found.Programs) == 0 {
		return errors.Join(append(problems, errors.New("none of its platforms can be read"))...)
	}
	return nil
}

// addProgram adds what an image starts. An index names its platform, or else its configuration.
func addProgram(ctx context.Context, found *entrypoint.Image, r *repository, m manifest,
	platform *ocispec.Platform) error {
	config, err := configOf(ctx, r, m)
	if err != nil {
		return err
	}
	if platform == nil {
		platform = &config.Platform
	}
	named := "unknown"
	if platform.OS != "" {
		named = exactPlatform(*platform)
	}
	found.Add(named, config.Config.Entrypoint, config.Config.Cmd)
	return nil
}
