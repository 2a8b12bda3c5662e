package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/registry"
)

// Image is an image of a release.
type Image struct {
	Candidates []image.Rewritten // on the mirror, the best first; never empty
	Places     []string          // object and path of each use
}

// From returns the image as the release names it.
func (i Image) From() image.Reference { return i.Candidates[0].From }

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
		for _, field := range object.Images(obj.Object) {
			place := obj.GetKind() + "/" + obj.GetName() + ": " + field.Path
			i, seen := number[field.Value]
			if seen {
				images[i].Places = append(images[i].Places, place)
				continue
			}
			candidates, err := candidatesOf(field.Value, l.Rules)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", place, err))
				continue
			}
			number[field.Value] = len(images)
			images = append(images, Image{Candidates: candidates, Places: []string{place}})
		}
	}
	return images, l, errors.Join(problems...)
}

func candidatesOf(written string, rules *image.Rules) ([]image.Rewritten, error) {
	ref, err := image.Parse(written)
	if err != nil {
		return nil, err
	}
	return rules.Candidates(ref)
}

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
	case c.To.Digest != "":
		return "kept"
	}
	return "none"
}
