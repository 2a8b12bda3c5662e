package images

import (
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/image"
)

// haulerImages is a manifest of Hauler.
type haulerImages struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   objectName `json:"metadata"`
	Spec       haulerSpec `json:"spec"`
}

type objectName struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

type haulerSpec struct {
	Images []haulerImage `json:"images"`
}

type haulerImage struct {
	Name    string `json:"name"`
	Rewrite string `json:"rewrite,omitempty"`
}

// exportHauler writes an Images manifest. Hauler reads a name with tag and digest by digest
// only, and then neither tags nor renames it, so such an image is named by its tag.
func exportHauler(e export) (map[string][]byte, []string, error) {
	file := haulerImages{APIVersion: "content.hauler.cattle.io/v1", Kind: "Images",
		Metadata: objectName{Name: "tekton-images"}, Spec: haulerSpec{Images: []haulerImage{}}}
	var registries, left, byTag []string
	for _, done := range e.images {
		from := upstreamOf(done)
		one := haulerImage{Name: from.String()}
		switch {
		case from.Tag != "" || from.Digest == "":
			if done.To.Digest != "" {
				byTag = append(byTag, from.String())
			}
			from.Digest = ""
			one = haulerImage{from.String(), targetOf(done).String()}
		case done.To.Path != from.Path:
			left = append(left, from.String())
			continue
		}
		file.Spec.Images = append(file.Spec.Images, one)
		if !slices.Contains(registries, done.To.Host) {
			registries = append(registries, done.To.Host)
		}
	}
	text, err := yaml.Marshal(file)
	return map[string][]byte{"hauler.yaml": withHeader(text, haulerHeader(registries, left, plainHosts(e))...)},
		haulerWarnings(registries, left, byTag), err
}

func haulerHeader(registries, left, plain []string) []string {
	head := []string{"hauler store sync --filename hauler.yaml"}
	for _, registry := range registries {
		flag := ""
		if slices.Contains(plain, registry) {
			flag = "--plain-http "
		}
		head = append(head, "hauler store copy "+flag+"registry://"+registry)
	}
	head = append(head, "", "Hauler keeps all platforms, digests and signatures. It reads an image with a tag by that tag,",
		"so a tag that has moved upstream brings another digest: check the mirror with",
		"`tekgate images verify`. Hauler marks `rewrite` as experimental.")
	if len(left) > 0 {
		head = append(head, "", "Left out, because Hauler cannot rename an image that is named by digest only:",
			"- "+strings.Join(left, "\n- "))
	}
	return head
}

func haulerWarnings(registries, left, byTag []string) []string {
	var warnings []string
	if len(byTag) > 0 {
		warnings = append(warnings, "Hauler reads these by their tag although the manifests pin a digest, so run "+
			"`tekgate images verify` afterwards: "+strings.Join(byTag, ", "))
	}
	if len(left) > 0 {
		warnings = append(warnings, "Hauler cannot rename an image that is named by digest only, so these are left out: "+
			strings.Join(left, ", ")+": copy them with `tekgate images copy`")
	}
	if len(registries) > 1 {
		warnings = append(warnings, "hauler store copy puts all images into one registry, and this mirror has "+
			strings.Join(registries, ", ")+": use another format, or `tekgate images copy`")
	}
	return warnings
}

// zarfPackage is the part of a Zarf package that is written.
type zarfPackage struct {
	Kind       string          `json:"kind"`
	Metadata   objectName      `json:"metadata"`
	Components []zarfComponent `json:"components"`
}

type zarfComponent struct {
	Name     string   `json:"name"`
	Required bool     `json:"required"`
	Images   []string `json:"images"`
}

// exportZarf writes a Zarf package that holds the images alone. Zarf pushes them into its own
// registry, below the paths that they have upstream.
func exportZarf(e export) (map[string][]byte, []string, error) {
	component := zarfComponent{Name: "tekton-images", Required: true, Images: []string{}}
	for _, done := range e.images {
		from := upstreamOf(done)
		if from.Tag != "" && done.To.Digest == "" {
			from.Digest = ""
		}
		if !slices.Contains(component.Images, from.String()) {
			component.Images = append(component.Images, from.String())
		}
	}
	text, err := yaml.Marshal(zarfPackage{Kind: "ZarfPackageConfig", Components: []zarfComponent{component},
		Metadata: objectName{"tekton-images", "The images of Tekton and Tekgate"}})
	return map[string][]byte{"zarf.yaml": withHeader(text,
		"zarf package create .",
		"zarf package deploy zarf-package-tekton-images-*.tar.zst",
		"",
		"Zarf takes one platform of each image, so digests change; it copies no signatures. Its agent",
		"rewrites the images of Pods, but neither those in the arguments of Tekton's controllers nor",
		"what Tekton looks up in a registry: install with mirror.registry set to Zarf's registry,",
		"mirror.layout: keep-path and mirror.digest: drop.")}, zarfWarnings(e.images), err
}

func zarfWarnings(images []image.Rewritten) []string {
	var warnings []string
	if _, ok := commonPrefix(images, func(from image.Reference) string { return from.Path }); !ok {
		warnings = append(warnings, "Zarf cannot rename images, and this mirror's names are its own: "+
			"set mirror.registry to Zarf's registry and mirror.layout to keep-path, or use `tekgate images copy`")
	}
	if names := pinned(images); len(names) > 0 {
		warnings = append(warnings, "Zarf takes one platform of each image, which changes its digest, but the manifests pin "+
			"these: set mirror.digest to drop: "+strings.Join(names, ", "))
	}
	var untagged []string
	for _, done := range images {
		if done.From.Tag == "" && done.From.Digest != "" {
			untagged = append(untagged, done.Source().String())
		}
	}
	if len(untagged) > 0 {
		warnings = append(warnings, "these are named by digest only, and Zarf gives them no tag; versions such as v0.60 refuse "+
			"the digest of an index: name another image for each under mirror.images: "+strings.Join(untagged, ", "))
	}
	return warnings
}
