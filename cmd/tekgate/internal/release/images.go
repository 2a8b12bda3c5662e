package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// Image is an image of a release.
type Image struct {
	Written    image.Reference   // in the manifests
	Upstream   image.Reference   // the same, or the image that it is a copy of
	Candidates []image.Rewritten // on the mirror, the best first; never empty
	Places     []string          // object and path of each use
}

// Images returns the images of the manifests, each once.
func (s *Source) Images(ctx context.Context, streams cli.Streams) ([]Image, *Loaded, error) {
	l, err := s.Read(ctx, streams)
	if err != nil {
		return nil, nil, err
	}
	var images []Image
	var problems []error
	number := map[string]int{}
	for _, obj := range l.Objects {
		for _, field := range manifest.Images(obj.Object) {
			place := obj.GetKind() + "/" + obj.GetName() + ": " + field.Path
			i, seen := number[field.Value]
			if seen {
				images[i].Places = append(images[i].Places, place)
				continue
			}
			found, err := l.image(field.Value)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", place, err))
				continue
			}
			number[field.Value] = len(images)
			found.Places = []string{place}
			images = append(images, found)
		}
	}
	return images, l, errors.Join(problems...)
}

// image returns the image that a text in the manifests names.
func (l *Loaded) image(written string) (Image, error) {
	ref, err := image.Parse(written)
	if err != nil {
		return Image{}, err
	}
	found := Image{Written: ref, Upstream: ref}
	if origin, ok := l.copies[ref.String()]; ok {
		found.Upstream = origin
	}
	if l.implicit {
		// Without a mirror, what is saved and listed is what Tekton published.
		ref = found.Upstream
	}
	found.Candidates, err = l.Rules.Candidates(ref)
	return found, err
}

// reportCopies reports the images that the rules take for others, and each digest that is
// the copy's own.
func (l *Loaded) reportCopies(errOut io.Writer) {
	renamed := 0
	for _, written := range slices.Sorted(maps.Keys(l.copies)) {
		found, err := l.image(written)
		if err != nil || found.Candidates[0].From != found.Upstream {
			continue
		}
		if renamed++; renamed == 1 {
			fmt.Fprintln(errOut, "the manifests name copies of Tekton's images, which a mirror has renamed: "+
				"they are treated as the images upstream; to keep the name of one, list it under mirror.keep")
		}
		digest := ""
		if found.Written.Digest != "" && found.Written.Digest != found.Upstream.Digest {
			digest = "; its digest is left out, because pull and push have changed it"
		}
		fmt.Fprintf(errOut, "  %s is a copy of %s%s\n", written, found.Upstream, digest)
	}
}

// From returns the image to copy: the upstream name, unless the rules are about the copy.
func (i Image) From() image.Reference { return i.Candidates[0].From }

// Candidates returns the candidates of each image.
func Candidates(images []Image) [][]image.Rewritten {
	all := make([][]image.Rewritten, 0, len(images))
	for _, i := range images {
		all = append(all, i.Candidates)
	}
	return all
}

// pinned adds the digests of the lock file, if there is one, to the rules that need them.
func (s *Source) pinned(rules *image.Rules) (*image.Rules, error) {
	if s.lock == "" {
		return rules, nil
	}
	lock, err := registry.ReadLock(s.lock)
	if errors.Is(err, fs.ErrNotExist) {
		return rules, nil
	}
	if err != nil {
		return nil, err
	}
	return lock.Apply(rules)
}

// DigestFate returns what happens to the digest of an image.
func DigestFate(c image.Rewritten) string {
	switch {
	case c.Relock:
		return "to be locked"
	case c.DigestDropped:
		return "dropped"
	case c.Policy == image.DigestPublished && c.From.Digest == "" && c.To.Digest != "":
		return "published"
	case c.To.Digest != "":
		return "kept"
	}
	return "none"
}
