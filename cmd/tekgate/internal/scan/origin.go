package scan

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
)

// stateInstalled is for images of Tekton's own workloads, which the installer sets.
const stateInstalled = "by install"

// trace fills in which image of Tekton's an image is a copy of, or which one it is used in
// place of.
func (o surveyed) trace(f *fate, ref image.Reference, field imageField) (origin manifest.Origin, known bool) {
	at := manifest.PlaceOf(&unstructured.Unstructured{Object: o.fields}, field.ImageField)
	origin, known = manifest.Recognize(ref, at)
	if known {
		f.CopyOf, f.Evidence = origin.Image.String(), strings.Join(origin.Evidence, ", ")
		f.ImportPath, f.Version = origin.ImportPath, origin.Version
		return origin, true
	}
	if instead, is := manifest.InPlaceOf(ref, at); is {
		f.InPlaceOf = instead.String()
	}
	return manifest.Origin{}, false
}

// installed is the fate of an image of one of Tekton's workloads. ok is false for other objects,
// and for images that the mirror has no rule for.
func (s *survey) installed(o surveyed, f fate, ref image.Reference, origin manifest.Origin, known bool) (fate, bool) {
	if !manifest.IsTekton(&unstructured.Unstructured{Object: o.fields}) {
		return f, false
	}
	rules := s.rules
	if known {
		rules = rules.WithCopies(map[string]image.Reference{ref.String(): origin.Image})
	}
	done, err := rules.Rewrite(ref)
	if err != nil || done.Rule == "" {
		return f, false
	}
	f.State, f.To, f.Rule, f.Digest = stateInstalled, done.To.String(), done.Rule, digestOf(done)
	return f, true
}

// ofTekton says what is known about the origin of an image, "" if nothing is.
func (f fate) ofTekton() string {
	switch {
	case f.CopyOf != "" && f.Version != "" && !strings.Contains(f.CopyOf, f.Version):
		return fmt.Sprintf("copy of %s %s, by its %s", f.CopyOf, f.Version, f.Evidence)
	case f.CopyOf != "":
		return fmt.Sprintf("copy of %s, by its %s", f.CopyOf, f.Evidence)
	case f.InPlaceOf != "":
		return fmt.Sprintf("used in place of %s, which the release names", f.InPlaceOf)
	}
	return ""
}
