package installer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/object"
)

// installed returns the versions that are in the cluster: those of the inventory, or where
// there is none those that the objects name.
func (f Facts) installed() Versions {
	if f.Inventory != nil {
		return f.Inventory.Versions
	}
	return InstalledVersions(slices.Collect(maps.Values(f.Live)))
}

// InstalledVersions returns the versions that the objects of a cluster without an inventory name.
// Without Deployments nothing is installed: definitions and ConfigMaps stay after an uninstall.
func InstalledVersions(objects []*unstructured.Unstructured) Versions {
	// The ConfigMaps pipelines-info and triggers-info say it best: labels are copied.
	first := func(obj *unstructured.Unstructured) int {
		if obj.GetKind() == "ConfigMap" {
			return 0
		}
		return 1
	}
	objects = slices.SortedFunc(slices.Values(objects), func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(kube.Identity(a), kube.Identity(b)))
	})
	v := VersionsOf(objects)
	for _, obj := range objects {
		for _, field := range object.Images(obj.Object) {
			v.fromImage(obj, field)
		}
	}
	if !deploys(objects, "tekton-pipelines-") {
		v.Pipeline = ""
	}
	if !deploys(objects, "tekton-triggers-") {
		v.Triggers = ""
	}
	return v
}

// deploys reports whether a Deployment among objects has a name that begins with a prefix.
func deploys(objects []*unstructured.Unstructured, prefix string) bool {
	return slices.ContainsFunc(objects, func(obj *unstructured.Unstructured) bool {
		return obj.GetKind() == "Deployment" && strings.HasPrefix(obj.GetName(), prefix)
	})
}

// fromImage fills in a version that no label says, from the name of an image.
func (v *Versions) fromImage(obj *unstructured.Unstructured, field *object.ImageField) {
	ref, err := image.Parse(field.Value)
	if err != nil {
		return
	}
	component, version := "", ref.Tag
	if origin, ok := manifest.Recognize(ref, manifest.PlaceOf(obj, field)); ok {
		component, version = origin.Component, origin.Version
	} else if published, _, ok := ref.Tekton(); ok {
		component = published
	}
	switch {
	case component == "pipeline" && v.Pipeline == "":
		v.Pipeline = version
	case component == "triggers" && v.Triggers == "":
		v.Triggers = version
	}
}

// adopts reports whether the plan takes over an installation that Tekgate did not make.
func (p *Plan) adopts() bool {
	return p.Previous == nil && !p.Installed.IsZero()
}

// adopt settles what an installation that Tekgate did not make is compared with: the compiled-in
// releases of its versions before the manifests that the user names, since these may have
// changes of the user's. It returns the objects, and those of them that are as Tekton released
// them. It notes that the installation is taken over.
func (p *Plan) adopt(options Options) (base, released []*unstructured.Unstructured, err error) {
	if !p.adopts() {
		return options.Previous, options.Previous, nil
	}
	if options.Released != nil {
		if base, err = options.Released(p.Installed); err != nil {
			return nil, nil, err
		}
	}
	released = base
	from := "the releases of these versions that are compiled into tekgate"
	if named := without(options.Previous, base); len(named) > 0 {
		base = slices.Concat(base, named)
		if len(manifest.Copies(named)) == 0 {
			released = base
		}
		from = "the manifests that you name"
	}
	if len(base) == 0 {
		from = "what kubectl noted when it applied it: name the original manifests with --previous-manifest if you have them"
	}
	p.Notes = append(p.Notes, fmt.Sprintf(
		"%s is here, and Tekgate did not install it: it is taken over, and compared with %s", p.Installed, from))
	p.noteLeftovers(options.Previous)
	return base, released, nil
}

// without returns the objects that are not among others.
func without(objects, others []*unstructured.Unstructured) []*unstructured.Unstructured {
	known := map[string]bool{}
	for _, obj := range others {
		known[kube.Identity(obj)] = true
	}
	return slices.DeleteFunc(slices.Clone(objects), func(obj *unstructured.Unstructured) bool {
		return known[kube.Identity(obj)]
	})
}

// noteLeftovers notes what the manifests that the cluster was installed from have, and the new
// release has not. It stays, since Tekgate did not write it.
func (p *Plan) noteLeftovers(previous []*unstructured.Unstructured) {
	for _, obj := range without(previous, p.Release.Objects) {
		p.Notes = append(p.Notes, kube.Name(obj)+
			" is in the manifests that you name and no part of this release: it stays, so delete it if you do not need it")
	}
}
