package installer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
)

// ImageChange is an image of a workload that an install replaces.
type ImageChange struct {
	// Path is where the new image stands.
	Path string `json:"path"`
	From string `json:"from"`
	To   string `json:"to"`
	// CopyOf is the upstream image of From, and Upstream that of To; empty if unknown.
	CopyOf   string `json:"copyOf,omitempty"`
	Upstream string `json:"upstream,omitempty"`
	// Kind is moved (the same image under another name), upgraded (another version of the same
	// program) or replaced (another image).
	Kind string `json:"kind"`
}

// What ImageChange.Kind may say.
const (
	ImageMoved    = "moved"
	ImageUpgraded = "upgraded"
	ImageReplaced = "replaced"
)

func (c ImageChange) String() string {
	from, to := c.From, c.To
	if c.CopyOf != "" && c.CopyOf != c.From {
		from += " (copy of " + c.CopyOf + ")"
	}
	what := map[string]string{
		ImageMoved:    "the same image under another name",
		ImageUpgraded: "another version of the same program",
		ImageReplaced: "another image",
	}[c.Kind]
	return fmt.Sprintf("%s: %s becomes %s, %s", c.Path, from, to, what)
}

// imageKey names the place of an image in any version of a workload.
func imageKey(field *object.ImageField) string {
	container := field.Container
	switch {
	case field.Flag != "":
		return container + ".args[-" + strings.TrimLeft(field.Flag, "-") + "]"
	case field.Variable != "":
		return container + ".env[" + field.Variable + "].value"
	case container != "":
		return container + ".image"
	}
	return field.Path
}

// imagesByLeaf returns the images of a workload by their paths as leavesOf has them.
func imagesByLeaf(obj *unstructured.Unstructured) map[string]writtenImage {
	images := map[string]writtenImage{}
	for _, field := range object.Images(obj.Object) {
		ref, err := image.Parse(field.Value)
		if err != nil {
			continue
		}
		w := writtenImage{ref: ref}
		w.origin, w.known = manifest.Recognize(ref, manifest.PlaceOf(obj, field))
		list, _, _ := strings.Cut(field.Path, "[")
		key := imageKey(field)
		if field.Container != "" {
			rest := strings.TrimPrefix(key, field.Container)
			key = list + "[" + field.Container + "]" + rest
		}
		images[key] = w
	}
	return images
}

// imageChanges returns the images of a workload that a change replaces. upstream has the
// upstream names of the release's images.
func (ch *Change) imageChanges(upstream map[string]image.Reference) []ImageChange {
	if ch.Live == nil {
		return nil
	}
	before := map[string]*object.ImageField{}
	for _, field := range object.Images(ch.Live.Object) {
		before[imageKey(field)] = field
	}
	var changes []ImageChange
	after := ch.expected()
	for _, field := range object.Images(after.Object) {
		was := before[imageKey(field)]
		if was == nil || was.Value == field.Value {
			continue
		}
		changes = append(changes, ch.imageChange(was, field, upstream))
	}
	slices.SortFunc(changes, func(a, b ImageChange) int { return cmp.Compare(a.Path, b.Path) })
	return changes
}

func (ch *Change) imageChange(was, is *object.ImageField, upstream map[string]image.Reference) ImageChange {
	change := ImageChange{Path: is.Path, From: was.Value, To: is.Value, Kind: ImageReplaced}
	from, err1 := image.Parse(was.Value)
	to, err2 := image.Parse(is.Value)
	if err1 != nil || err2 != nil {
		return change
	}
	before, known := upstream[from.String()]
	if origin, ok := manifest.Recognize(from, manifest.PlaceOf(ch.Live, was)); ok {
		before, known = origin.Image, true
	}
	if !known {
		before = from
	} else {
		change.CopyOf = before.String()
	}
	after, ok := upstream[to.String()]
	if !ok {
		return change
	}
	change.Upstream = after.String()
	change.Kind = compareImages(before, after)
	return change
}

// compareImages returns what a change from one upstream image to another is.
func compareImages(before, after image.Reference) string {
	a, tekton := before.ImportPath()
	b, _ := after.ImportPath()
	if !tekton {
		a, b = before.Canonical().Repository(), after.Canonical().Repository()
	}
	switch {
	case a != b:
		return ImageReplaced
	case before.Tag == after.Tag && (before.Tag != "" || before.Digest == after.Digest):
		return ImageMoved
	}
	return ImageUpgraded
}

// upstreamNames returns the upstream names of the release's images, by those on the mirror.
func (p *Plan) upstreamNames() map[string]image.Reference {
	names := map[string]image.Reference{}
	for _, done := range p.Release.Images {
		names[done.To.String()] = done.From
	}
	return names
}
