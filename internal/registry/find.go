package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tekgate/tekgate/internal/image"
)

// find looks a reference up: by HEAD, as the clients on nodes do, and then by GET.
func (c *client) find(ctx context.Context, ref image.Reference) (*repository, manifest, error) {
	r, err := c.repository(ctx, ref)
	if err != nil {
		return nil, manifest{}, err
	}
	head, err := r.head(ctx, reference(ref))
	switch {
	case err == nil || useless(err):
	case statusOf(err) == StatusMissing && ref.Digest != "" && ref.Tag != "":
		return r, manifest{}, underTag(ctx, r, ref, err)
	default:
		return r, manifest{}, err
	}
	found, err := r.get(ctx, reference(ref))
	switch {
	case err != nil && head.Digest != "" && statusCode(err) == http.StatusNotFound:
		return r, manifest{}, fmt.Errorf("HEAD finds it and GET does not: %w", err)
	case err == nil && head.Digest != "" && head.Digest != found.Digest:
		return r, manifest{}, fmt.Errorf("%s changed while it was looked at: try again", ref)
	}
	return r, found, err
}

// underTag tells a tag with another digest from an image that is not there.
func underTag(ctx context.Context, r *repository, ref image.Reference, missing error) error {
	head, err := r.head(ctx, ref.Tag)
	if err != nil {
		return missing
	}
	return digestError{ref: ref, has: head.Digest.String()}
}

// platformsOf lists the platforms of an index, or the one of an image, such as "linux/amd64".
func platformsOf(ctx context.Context, from fetcher, m manifest) ([]string, error) {
	if !m.isIndex() {
		config, err := configOf(ctx, from, m)
		return []string{platformName(config.Platform)}, err
	}
	index, err := m.index()
	if err != nil {
		return nil, err
	}
	var platforms []string
	for _, d := range index.Manifests {
		if d.Platform == nil || isAttestation(d) {
			continue
		}
		if p := platformName(*d.Platform); !slices.Contains(platforms, p) {
			platforms = append(platforms, p)
		}
	}
	slices.Sort(platforms)
	return platforms, nil
}

// configOf reads the configuration of an image.
func configOf(ctx context.Context, from fetcher, m manifest) (ocispec.Image, error) {
	var config ocispec.Image
	n, err := parse(m)
	if err != nil {
		return config, err
	}
	blob := n.config()
	text, err := from.getBlob(ctx, blob)
	if err != nil {
		return config, fmt.Errorf("reading its configuration %s: %w", blob.Digest, err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return config, fmt.Errorf("its configuration %s is not valid JSON: %w", blob.Digest, err)
	}
	return config, nil
}

// platformName is os/architecture and variant, without the version of Windows.
func platformName(p ocispec.Platform) string {
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
