// Package entrypoint keeps which commands the images of a mirror start.
//
// `tekgate images lock` reads them from the images' configurations and stores them in a
// ConfigMap. The admission server reads that and names the commands in steps, so that Tekton's
// controller need not ask the registry (mutator.imageMirror.entrypoints: mirror).
package entrypoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// ConfigMap is the name of the ConfigMap in Tekgate's namespace, and Key its only key.
const (
	ConfigMap = "tekgate-entrypoints"
	Key       = "entrypoints.json"
)

// MaxBytes bounds the text: a ConfigMap may hold 1 MiB in all.
const MaxBytes = 1000 << 10

const kind = "Entrypoints"

// document is the text of the ConfigMap.
type document struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Images     []Image `json:"images"`
}

// Image is an image on the mirror and what it starts.
type Image struct {
	// Image is its name there, with a tag, a digest or both, as steps name it.
	Image string `json:"image"`
	// Digest is what the registry answered for it: that of the index, if there is one.
	Digest string `json:"digest"`
	// Programs are what it starts, each with the platforms of which that holds.
	Programs []Program `json:"programs"`
}

// Program is what an image's configuration says.
type Program struct {
	Platforms  []string `json:"platforms"`
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
}

// Add adds what the image starts on a platform.
func (i *Image) Add(platform string, entrypoint, cmd []string) {
	for at := range i.Programs {
		p := &i.Programs[at]
		if slices.Equal(p.Entrypoint, entrypoint) && slices.Equal(p.Cmd, cmd) {
			if !slices.Contains(p.Platforms, platform) {
				p.Platforms = append(p.Platforms, platform)
			}
			return
		}
	}
	i.Programs = append(i.Programs, Program{[]string{platform}, entrypoint, cmd})
}

// Data returns the data of the ConfigMap for images, sorted by their names.
func Data(images []Image) (map[string]string, error) {
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b Image) int { return strings.Compare(a.Image, b.Image) })
	text, err := json.Marshal(document{wellknown.APIVersion, kind, images})
	if err != nil {
		return nil, err
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("the entrypoints of %d images take %d KB, and a ConfigMap has room for %d KB: name fewer images",
			len(images), len(text)>>10, MaxBytes>>10)
	}
	return map[string]string{Key: string(text)}, nil
}

// Table finds images by their names. A nil Table has none.
type Table struct{ byName map[string]Image }

// Parse reads the data of the ConfigMap. The Table is nil if there is nothing in it.
func Parse(data map[string]string) (*Table, error) {
	text := data[Key]
	if text == "" {
		return nil, nil
	}
	var d document
	if err := strict.UnmarshalJSON([]byte(text), &d); err != nil {
		return nil, fmt.Errorf("reading %s: %w", Key, err)
	}
	if d.APIVersion != wellknown.APIVersion || d.Kind != kind {
		return nil, fmt.Errorf("reading %s: it is no %s of %s: write it again with `tekgate images lock`", Key, kind,
			wellknown.APIVersion)
	}
	t := &Table{byName: make(map[string]Image, 2*len(d.Images))}
	var problems []error
	for i, one := range d.Images {
		ref, err := image.Parse(one.Image)
		if err != nil {
			problems = append(problems, fmt.Errorf("reading %s: images[%d]: %w", Key, i, err))
			continue
		}
		names := namesOf(ref)
		if one.Digest != "" {
			names = append(names, ref.Repository()+"@"+one.Digest)
		}
		for _, name := range names {
			t.byName[name] = one
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return t, nil
}

// namesOf returns the names under which an image is found: by digest if it has one, else by tag.
func namesOf(ref image.Reference) []string {
	switch {
	case ref.Digest != "":
		return []string{ref.Repository() + "@" + ref.Digest}
	case ref.Tag == "":
		return []string{ref.Repository() + ":latest"}
	}
	return []string{ref.Repository() + ":" + ref.Tag}
}

// Find returns an image by its name, and reports whether there is one.
func (t *Table) Find(ref image.Reference) (Image, bool) {
	if t == nil {
		return Image{}, false
	}
	found, is := t.byName[namesOf(ref)[0]]
	return found, is
}

// Args is whether a step has arguments.
type Args int

// The values of Args. Arguments are unknown if they come from an array parameter that is.
const (
	NoArgs Args = iota
	SomeArgs
	UnknownArgs
)

// Command returns the command that Tekton's controller would find for a step, or why there is
// none that holds for every platform (pkg/pod/entrypoint_lookup_impl.go, v1.15.0): the
// entrypoint, with cmd behind it if the step has no arguments; cmd alone if there is no
// entrypoint.
func (i Image) Command(args Args) (command []string, why string) {
	if len(i.Programs) == 0 {
		return nil, "nothing is known of its platforms"
	}
	p := i.Programs[0]
	for _, other := range i.Programs[1:] {
		if !slices.Equal(p.Entrypoint, other.Entrypoint) || args != SomeArgs && !slices.Equal(p.Cmd, other.Cmd) ||
			len(p.Entrypoint) == 0 && !slices.Equal(p.Cmd, other.Cmd) {
			return nil, "its platforms start different programs"
		}
	}
	switch {
	case len(p.Entrypoint) == 0:
		command = p.Cmd
	case args == SomeArgs || len(p.Cmd) == 0:
		command = p.Entrypoint
	case args == UnknownArgs:
		return nil, "it has arguments of its own, and whether the step has any is not known"
	default:
		command = slices.Concat(p.Entrypoint, p.Cmd)
	}
	switch {
	case len(command) == 0:
		return nil, "it starts no program by itself"
	case slices.ContainsFunc(command, func(word string) bool { return strings.Contains(word, "$(") }):
		return nil, "what it starts holds $(, which Tekton would fill in"
	}
	return command, ""
}
