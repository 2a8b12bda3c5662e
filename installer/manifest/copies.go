package manifest

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/published"
)

// Origin is what is known about an image that a mirror has renamed.
type Origin struct {
	// Image is the upstream image that it is a copy of.
	Image image.Reference `json:"-"`
	// ImportPath, Component and Binary say which program of Tekton's it holds; they are empty
	// for images of others that Tekton's releases name, such as the shell image.
	ImportPath string `json:"importPath,omitempty"`
	Component  string `json:"component,omitempty"`
	Binary     string `json:"binary,omitempty"`
	// Version is that of the release, with its v; empty if it is unknown.
	Version string `json:"version,omitempty"`
	// Evidence has those of EvidenceName, EvidencePlace and EvidenceDigest on which it is based.
	Evidence []string `json:"evidence"`
}

// What Origin.Evidence may say.
const (
	EvidenceName   = "name"   // the import path, its MD5, or the name of the program
	EvidencePlace  = "place"  // Tekton's manifests have this program at this place
	EvidenceDigest = "digest" // Tekton published this digest
)

// Recognize returns the origin of an image that stands at a place. ok is false for images
// under their upstream names, and for those that Tekton did not publish.
//
// A digest that Tekton published tells the image wherever it stands. So does a name that one
// program alone can have: one that ends with its import path or with the MD5 of it. Any other
// name, such as controller, counts only where Tekton's manifests have that program. There the
// tag has to be the version of the workload, too, so that an image of the user, such as a
// patched build, is no copy.
func Recognize(ref image.Reference, at Place) (origin Origin, ok bool) {
	if IsPublished(ref) {
		return Origin{}, false
	}
	if upstream, known := publishedAs(ref.Digest); known {
		importPath, _ := upstream.ImportPath()
		if at.program != "" && string(at.program) != importPath {
			return Origin{}, false
		}
		return originOf(upstream, at, EvidenceDigest), true
	}
	var upstream image.Reference
	switch {
	case at.program != "":
		upstream, ok = at.program.behind(ref, at.version)
	case at.tekton && at.flag != "":
		upstream, ok = companionBehind(at.flag, ref, at.version)
	case !at.tekton:
		upstream, ok = provenOrigin(ref)
	}
	if !ok {
		return Origin{}, false
	}
	return originOf(upstream, at, EvidenceName), true
}

func originOf(upstream image.Reference, at Place, evidence string) Origin {
	origin := Origin{Image: upstream, Version: at.version, Evidence: []string{evidence}}
	if importPath, ok := upstream.ImportPath(); ok {
		p := program(importPath)
		origin.ImportPath, origin.Component, origin.Binary = importPath, p.component(), p.binary()
		if releaseVersion.MatchString(upstream.Tag) {
			origin.Version = upstream.Tag
		}
	} else {
		origin.Version = ""
	}
	if at.tekton {
		origin.Evidence = append(origin.Evidence, EvidencePlace)
	}
	return origin
}

// provenOrigin returns the upstream image of a reference whose name one program alone can have.
func provenOrigin(ref image.Reference) (image.Reference, bool) {
	for _, p := range programs() {
		if _, ok := p.proven(ref, ""); ok {
			return p.behind(ref, "")
		}
	}
	return image.Reference{}, false
}

// publishedAs returns the image with a digest that Tekton published.
func publishedAs(digest string) (image.Reference, bool) {
	if digest == "" {
		return image.Reference{}, false
	}
	upstream, ok := publishedDigests()[digest]
	return upstream, ok
}

// publishedDigests are the images whose digests are known, by the digest.
var publishedDigests = sync.OnceValue(func() map[string]image.Reference {
	images := map[string]image.Reference{}
	table, err := published.Embedded()
	if err != nil {
		return images // a test reads the table
	}
	for _, row := range table.Rows {
		if row.Digest != "" {
			upstream := row.Image
			upstream.Digest = row.Digest
			images[row.Digest] = upstream
		}
	}
	return images
})

// Copies finds the images of a release that another mirror has renamed, such as
// docker.io/tektondev/pipeline-controller:v0.27.3: those that Recognize knows in the workloads
// of Tekton's releases. It returns the upstream name of each, by the reference as
// image.Reference.String returns it.
func Copies(objects []*unstructured.Unstructured) map[string]image.Reference {
	copies := map[string]image.Reference{}
	ambiguous := map[string]bool{}
	for _, obj := range objects {
		if !IsTekton(obj) {
			continue
		}
		for _, field := range object.Images(obj.Object) {
			ref, err := image.Parse(field.Value)
			if err != nil {
				continue
			}
			origin, ok := Recognize(ref, PlaceOf(obj, field))
			if !ok {
				continue
			}
			before, seen := copies[ref.String()]
			ambiguous[ref.String()] = ambiguous[ref.String()] || seen && before != origin.Image
			copies[ref.String()] = origin.Image
		}
	}
	maps.DeleteFunc(copies, func(name string, _ image.Reference) bool { return ambiguous[name] })
	return copies
}

// mainImage is the path of the image of the first container of each workload.
var mainImage = lazyregexp.New(`^spec\.template\.spec\.containers\[0\]\.image$`)

// upstreams begin the names that Tekton and the makers of its companions publish under.
var upstreams = lazyregexp.New(`^(?:(?:\w+\.)?gcr\.io/(?:tekton-releases|distroless|google\.com)/|` +
	`ghcr\.io/(?:tektoncd|distroless|openshift-pipelines)/|cgr\.dev/|distroless\.dev/|mcr\.microsoft\.com/)`)

// IsPublished reports whether an image has a name that Tekton or the makers of its companions
// publish under.
func IsPublished(ref image.Reference) bool { return upstreams.MatchString(ref.Repository()) }

// CopyOf returns the upstream image that a reference is a copy of by its name alone, if its
// name has Tekton's and can be one image only. It is a guess: Recognize looks at the place, too.
func CopyOf(ref image.Reference) (origin image.Reference, ok bool) {
	if sure, ok := Recognize(ref, Place{}); ok {
		return sure.Image, true
	}
	if IsPublished(ref) || !strings.Contains(ref.Repository(), "tekton") {
		return origin, false
	}
	found := slices.DeleteFunc(slices.Clone(programs()), func(p program) bool {
		_, is := p.behind(ref, "")
		return !is
	})
	if len(found) != 1 {
		return origin, false
	}
	return found[0].behind(ref, "")
}
