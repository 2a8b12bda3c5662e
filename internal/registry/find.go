package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/platforms"
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
		if code := statusCode(err); code == http.StatusForbidden || code == http.StatusPreconditionFailed {
			if _, why := r.get(ctx, reference(ref)); statusCode(why) == code {
				err = why // an answer to HEAD cannot say why
			}
		}
		return r, manifest{}, err
	}
	found, err := r.get(ctx, reference(ref))
	switch {
	case err != nil && head.Digest != "" && statusCode(err) != 0:
		return r, manifest{}, lostError{err}
	case err != nil:
		return r, manifest{}, err
	case head.Digest != "" && head.Digest != found.Digest:
		return r, manifest{}, unusable("HEAD announces %s and GET sends %s", head.Digest, found.Digest)
	}
	announced := ocispec.Descriptor{Digest: found.Digest, MediaType: found.served, Size: found.Size}
	if head.Digest != "" && head.Size >= 0 { // else nodes go by what GET says
		announced = head
	}
	return r, found, found.fits(announced)
}

// fits returns why nodes do not use a manifest that is announced by a descriptor: that of an index,
// or for the image itself that in the registry's answer. containerd goes by the media type in the
// descriptor, whatever the manifest says of itself.
func (m manifest) fits(announced ocispec.Descriptor) error {
	var inside struct {
		MediaType                           string
		Config, Layers, Manifests, FSLayers json.RawMessage
	}
	if err := json.Unmarshal(m.raw, &inside); err != nil {
		return unusable("the manifest is not valid JSON: %v", err)
	}
	isIndex := slices.Contains(indexTypes, announced.MediaType)
	isImage := slices.Contains(manifestTypes, announced.MediaType)
	switch {
	case len(inside.FSLayers) > 0:
		return unusable("the manifest is one of Docker's schema 1, which nodes no longer pull")
	case !isIndex && !isImage:
		return unusable("the manifest is announced as %q, which nodes take for no image", announced.MediaType)
	case isImage && (len(inside.Manifests) > 0 || slices.Contains(indexTypes, inside.MediaType)),
		isIndex && (len(inside.Config)+len(inside.Layers) > 0 || slices.Contains(manifestTypes, inside.MediaType)):
		return unusable("the manifest is announced as %q, and is not of that kind", announced.MediaType)
	case m.Size != announced.Size:
		return unusable("the manifest is announced with %d bytes, and has %d", announced.Size, m.Size)
	}
	return nil
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
	named := platformsIn(index.Manifests)
	if i := unnamed(index.Manifests); i >= 0 {
		// Whether the member is there is another question.
		if member, err := from.get(ctx, index.Manifests[i].Digest.String()); err == nil {
			member.MediaType = index.Manifests[i].MediaType
			if own, err := platformsOf(ctx, from, member); err == nil {
				named = append(named, own...)
			}
		}
	}
	slices.Sort(named)
	return slices.Compact(named), nil
}

// unnamed returns which member of an index nodes pull if none names their platform: the first that
// names none. Its configuration has to name theirs. It returns -1 if all name one.
func unnamed(members []ocispec.Descriptor) int {
	return slices.IndexFunc(members, func(d ocispec.Descriptor) bool { return d.Platform == nil })
}

// platformsIn returns the platforms of the members of an index.
func platformsIn(members []ocispec.Descriptor) (named []string) {
	for _, d := range members {
		if d.Platform != nil && !isAttestation(d) {
			named = append(named, platformName(*d.Platform))
		}
	}
	return named
}

// pulled reports which members of an index nodes of the platforms pull. Empty platforms mean all.
func pulled(members []ocispec.Descriptor, asked []string) []bool {
	wanted := make([]bool, len(members))
	named := platformsIn(members)
	all := pulledForAny(asked, named)
	for i, d := range members {
		if d.Platform == nil || isAttestation(d) {
			wanted[i] = d.Platform == nil && len(asked) == 0
			continue
		}
		wanted[i] = len(asked) == 0 || slices.Contains(all, platformName(*d.Platform))
	}
	if i := unnamed(members); i >= 0 && len(missingOf(asked, named)) > 0 {
		wanted[i] = true
	}
	return wanted
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
	if err != nil && answered(err) {
		return config, lacks{{what: "configuration", digest: blob.Digest.String(), cause: err}}
	}
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

// missingOf returns which of the wanted platforms nodes cannot pull.
func missingOf(wanted, has []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(w string) bool { return len(pulledFor(w, has)) > 0 })
}

// pulledFor returns which platforms of an image nodes of a wanted platform pull. A platform without a
// variant stands for all of its variants, and arm64/v8 is what arm64 means. If the wanted variant is
// not there, nodes pull the best of the older ones (containerd/platforms, Only).
func pulledFor(wanted string, has []string) []string {
	exact := slices.DeleteFunc(slices.Clone(has), func(h string) bool { return !satisfies(h, wanted) })
	w, err := platforms.Parse(wanted)
	if len(exact) > 0 || err != nil {
		return exact
	}
	match := platforms.Only(w)
	var best platforms.Platform
	for _, h := range has {
		p, err := platforms.Parse(h)
		if err != nil || p.Architecture != w.Architecture || !match.Match(p) {
			continue
		}
		if exact == nil || match.Less(p, best) {
			exact, best = []string{h}, p
		}
	}
	return exact
}

// pulledForAny returns which platforms of an image nodes of any of the wanted platforms pull.
func pulledForAny(wanted, has []string) (all []string) {
	for _, w := range wanted {
		all = append(all, pulledFor(w, has)...)
	}
	return all
}

func satisfies(has, wanted string) bool {
	return has == wanted || strings.HasPrefix(has, wanted+"/") || has+"/v8" == wanted && has == "linux/arm64"
}

func isWindows(platform string) bool { return strings.HasPrefix(platform, "windows/") }
