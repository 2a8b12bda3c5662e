package installer

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/release"
)

// Part is what a release has beside Pipelines, Triggers and Tekgate: a component of Tekton,
// or a manifest under a name that the user chose.
type Part struct {
	Name string `json:"name"`
	// Embedded says that it was compiled into the Tekgate that installed it. Another part was
	// read from a manifest, which a later install does not have.
	Embedded bool `json:"embedded,omitempty"`
	// Objects are the identities of its objects, see kube.Identity.
	Objects []string `json:"objects"`
}

// NewPart returns a part of the given objects.
func NewPart(name string, embedded bool, objects []*unstructured.Unstructured) Part {
	p := Part{Name: name, Embedded: embedded}
	for _, obj := range objects {
		p.Objects = append(p.Objects, kube.Identity(obj))
	}
	return p
}

// Of returns the part's objects among others. An object that got its namespace after the
// part was made counts.
func (p Part) Of(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	wanted := map[string]bool{}
	for _, identity := range p.Objects {
		wanted[identity] = true
	}
	var found []*unstructured.Unstructured
	for _, obj := range objects {
		bare := NewObject(obj.GroupVersionKind(), "", obj.GetName())
		if wanted[kube.Identity(obj)] || wanted[kube.Identity(bare)] {
			found = append(found, obj)
		}
	}
	return found
}

// UnknownVersion is the version of a part whose objects name none.
const UnknownVersion = "unknown"

// partVersions returns the version of each part, and of each component of Tekton by its
// ConfigMap; nil if there are none.
func partVersions(objects []*unstructured.Unstructured, parts []Part) map[string]string {
	versions := map[string]string{}
	for _, part := range parts {
		if own := part.Of(objects); len(own) > 0 {
			versions[part.Name] = labelledVersion(own)
		}
	}
	for _, component := range release.Components {
		for _, obj := range objects {
			version := live.Text(obj.Object, "data", "version")
			if obj.GetKind() == "ConfigMap" && obj.GetName() == component.Info && version != "" {
				versions[component.Name] = version
			}
		}
	}
	if len(versions) == 0 {
		return nil
	}
	return versions
}

// labelledVersion returns the version in the labels of the first workload that has one.
func labelledVersion(objects []*unstructured.Unstructured) string {
	for _, obj := range objects {
		for _, label := range []string{"app.kubernetes.io/version", "version"} {
			if version := obj.GetLabels()[label]; version != "" && isWorkload(obj.GroupVersionKind().GroupKind()) {
				return version
			}
		}
	}
	return UnknownVersion
}

// parts returns the parts of everything that the inventory lists, each name once.
func (i *Inventory) parts() []Part {
	if i == nil {
		return nil
	}
	return i.Parts
}

// joinParts returns the parts of an apply and those of the one before it, whose objects are
// still listed. A part of both has the objects of both.
func joinParts(now, before []Part) []Part {
	joined := slices.Clone(now)
	for _, old := range before {
		i := slices.IndexFunc(joined, func(p Part) bool { return p.Name == old.Name })
		if i < 0 {
			joined = append(joined, old)
			continue
		}
		for _, identity := range old.Objects {
			if !slices.Contains(joined[i].Objects, identity) {
				joined[i].Objects = append(slices.Clip(joined[i].Objects), identity)
			}
		}
	}
	return joined
}

// InstalledParts returns the parts of the release that an install goes on from, with their
// objects as they were recorded: of the last apply, whether it ended well or not.
func (i *Inventory) InstalledParts() map[string]InstalledPart {
	found := map[string]InstalledPart{}
	// What stayed of a part that was removed, such as its namespace, does not count.
	var present []*unstructured.Unstructured
	if i != nil {
		present = (&Inventory{Attempted: i.Attempted, Objects: i.Objects}).All()
	}
	for _, part := range i.parts() {
		objects := part.Of(present)
		if len(objects) > 0 {
			found[part.Name] = InstalledPart{Part: part, Objects: objects}
		}
	}
	return found
}

// InstalledPart is a part that the inventory lists, with its objects.
type InstalledPart struct {
	Part
	Objects []*unstructured.Unstructured
}

// Title returns how messages call a part.
func Title(name string) string {
	switch name {
	case release.Pipelines:
		return "Tekton Pipelines"
	case release.Triggers:
		return "Tekton Triggers"
	}
	if component, ok := release.FindComponent(name); ok {
		return component.Title
	}
	return "manifest " + name
}

// named is a name and a version for messages.
type named struct{ name, version string }

// all returns what is installed, in the order of messages, with unknown versions as "".
func (v Versions) all() []named {
	list := []named{{Title(release.Pipelines), v.Pipeline}, {Title(release.Triggers), v.Triggers}}
	for _, name := range slices.Sorted(maps.Keys(v.Components)) {
		list = append(list, named{Title(name), v.Components[name]})
	}
	return append(list, named{"Tekgate", v.Tekgate})
}

// byName returns what is installed, by the name in messages.
func (v Versions) byName() map[string]string {
	versions := map[string]string{}
	for _, part := range v.all() {
		versions[part.name] = part.version
	}
	return versions
}

// Rows returns the title and version of everything, for tables.
func (v Versions) Rows() [][2]string {
	var rows [][2]string
	for _, n := range v.all() {
		rows = append(rows, [2]string{n.name, n.version})
	}
	return rows
}

// Equal reports whether two installations have the same versions.
func (v Versions) Equal(other Versions) bool {
	return v.Pipeline == other.Pipeline && v.Triggers == other.Triggers && v.Tekgate == other.Tekgate &&
		maps.Equal(v.Components, other.Components)
}

// IsZero reports whether no version is known.
func (v Versions) IsZero() bool { return v.Equal(Versions{}) }

// foreign reports whether an object belongs to another component than Pipelines, although
// it may have the label pipeline.tekton.dev/release: the Deployments of Chains and of the
// Manual Approval Gate have it with their own version.
func foreign(obj *unstructured.Unstructured) bool {
	part := obj.GetLabels()["app.kubernetes.io/part-of"]
	return part != "" && !strings.HasPrefix(part, "tekton-pipelines") && !strings.HasPrefix(part, "tekton-triggers")
}
