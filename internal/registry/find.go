package registry

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/internal/image"
)

// found is what a registry has under a reference.
type found struct {
	digest    string
	platforms []string
}

// find looks a reference up: by HEAD, which costs no pull where pulls are
// counted, and then for its platforms.
func (c *client) find(ctx context.Context, ref image.Reference) (found, error) {
	at, err := c.exact(ref)
	if err != nil {
		return found{}, err
	}
	options := append(c.remote(), remote.WithContext(ctx))
	head, err := remote.Head(at, options...)
	switch {
	case err == nil:
	case statusOf(err) == StatusMissing && ref.Digest != "" && ref.Tag != "":
		return found{}, c.underTag(ctx, ref, err)
	case statusCode(err) == http.StatusMethodNotAllowed || statusCode(err) == 0 && !broken(err) && ctx.Err() == nil:
		// Some registries answer HEAD with neither digest nor length.
	default:
		return found{}, err
	}
	descriptor, err := remote.Get(at, options...)
	if err != nil {
		return found{}, err
	}
	if head != nil && head.Digest != descriptor.Digest {
		return found{}, fmt.Errorf("%s changed while it was looked at: try again", ref)
	}
	platforms, err := platformsOf(descriptor)
	if err != nil {
		return found{}, fmt.Errorf("reading the platforms of %s: %w", ref, err)
	}
	return found{digest: descriptor.Digest.String(), platforms: platforms}, nil
}

// underTag tells a tag with another digest from an image that is not there.
func (c *client) underTag(ctx context.Context, ref image.Reference, missing error) error {
	at, err := c.byTag(ref)
	if err != nil {
		return err
	}
	head, err := remote.Head(at, append(c.remote(), remote.WithContext(ctx))...)
	if err != nil {
		return missing
	}
	return digestError{ref: ref, has: head.Digest.String()}
}

// platformsOf lists the platforms of an index, or the one of an image.
func platformsOf(descriptor *remote.Descriptor) ([]string, error) {
	if descriptor.MediaType.IsIndex() {
		index, err := descriptor.ImageIndex()
		if err != nil {
			return nil, err
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return nil, err
		}
		return platformsIn(manifest), nil
	}
	img, err := descriptor.Image()
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	return []string{platformName(config.Platform())}, nil
}

// platformsIn leaves out attestations, whose platform is "unknown/unknown".
func platformsIn(manifest *v1.IndexManifest) []string {
	var platforms []string
	for _, m := range manifest.Manifests {
		if m.Platform == nil || m.Platform.OS == "unknown" {
			continue
		}
		if p := platformName(m.Platform); !slices.Contains(platforms, p) {
			platforms = append(platforms, p)
		}
	}
	slices.Sort(platforms)
	return platforms
}

// platformName is os/architecture and variant, without the version of Windows.
func platformName(p *v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// missingOf returns which of the wanted platforms are not there. A wanted
// platform without a variant is satisfied by any of its variants, and arm64/v8
// is what arm64 means.
func missingOf(wanted, has []string) []string {
	var missing []string
	for _, w := range wanted {
		if !slices.ContainsFunc(has, func(h string) bool { return satisfies(h, w) }) {
			missing = append(missing, w)
		}
	}
	return missing
}

func satisfies(has, wanted string) bool {
	return has == wanted || strings.HasPrefix(has, wanted+"/") || has+"/v8" == wanted && has == "linux/arm64"
}

func isWindows(platform string) bool { return strings.HasPrefix(platform, "windows/") }
