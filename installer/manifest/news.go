package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// IsNewer reports whether a release is newer than the newest one that this program knows. A version
// that is no semantic version, such as devel, counts as newer.
func IsNewer(version, newest string) bool {
	v, err := semver.NewVersion(version)
	if err != nil {
		return true
	}
	known, err := semver.NewVersion(newest)
	return err != nil || v.GreaterThan(known)
}

// News returns a sentence for each thing in a newer release that this program does not know:
// definitions and their versions, fields that may hold images, kinds, workloads, arguments that hold
// images, and feature flags. known are the objects of the newest release that it knows.
func News(objects, known []*unstructured.Unstructured) []string {
	n := news{known: map[string]*unstructured.Unstructured{}, kinds: map[string]bool{}, flags: map[string]bool{}}
	for _, obj := range known {
		n.known[kube.Identity(obj)] = obj
		n.kinds[kindOf(obj)] = true
		for _, field := range Images(obj.Object) {
			n.flags[strings.TrimLeft(field.Flag, "-")] = true
		}
	}
	for flag := range flags {
		n.flags[flag] = true
	}
	for _, c := range companions {
		n.flags[c.flag] = true
	}
	for _, obj := range objects {
		n.object(obj, n.known[kube.Identity(obj)])
	}
	return n.sentences
}

type news struct {
	known     map[string]*unstructured.Unstructured
	kinds     map[string]bool // by kindOf
	flags     map[string]bool // that hold images, without dashes
	sentences []string
}

func kindOf(obj *unstructured.Unstructured) string { return obj.GetAPIVersion() + " " + obj.GetKind() }

func (n *news) add(format string, args ...any) {
	n.sentences = append(n.sentences, fmt.Sprintf(format, args...))
}

func (n *news) object(obj, known *unstructured.Unstructured) {
	if !n.kinds[kindOf(obj)] {
		n.kinds[kindOf(obj)] = true
		n.add("%s is of %s, a kind that no release before had: it is applied as it is", kube.Name(obj), kindOf(obj))
	}
	switch {
	case IsDefinition(obj):
		n.definition(obj, known)
	case obj.GetKind() == "ConfigMap" && obj.GetName() == "feature-flags" && known != nil:
		n.featureFlags(obj, known)
	}
	n.workload(obj, known)
}

// workload reports workloads, and arguments that hold images.
func (n *news) workload(obj, known *unstructured.Unstructured) {
	fields := Images(obj.Object)
	if known == nil && len(fields) > 0 {
		n.add("%s is new: its images are mirrored like the others, and `tekgate check` does not wait for it",
			kube.Name(obj))
	}
	for _, field := range fields {
		flag := strings.TrimLeft(field.Flag, "-")
		if flag == "" || n.flags[flag] {
			continue
		}
		n.flags[flag] = true
		n.add("%s has the argument %s, which this tekgate does not know: its image %s is mirrored like the others",
			kube.Name(obj), field.Flag, field.Value)
	}
}

// featureFlags reports keys that are new.
func (n *news) featureFlags(obj, known *unstructured.Unstructured) {
	was := live.Data(known)
	data := live.Data(obj)
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if _, ok := was[key]; !ok {
			n.add("%s has the flag %s (%q), which this tekgate does not know", kube.Name(obj), key, data[key])
		}
	}
}

func (n *news) definition(obj, known *unstructured.Unstructured) {
	kind := DefinedKind(obj)
	if known == nil {
		n.add("%s defines %s, a kind that this tekgate does not know: its admission leaves the objects alone, "+
			"and images in them are not rewritten", kube.Name(obj), kind)
		return
	}
	was := DefinedVersions(known)
	for _, version := range DefinedVersions(obj) {
		if slices.Contains(was, version) {
			continue
		}
		if len(was) > 0 && served(obj, was) {
			n.add("%s has the version %s, which this tekgate does not know: its admission gets such objects "+
				"as the server converts them to a version that it knows", kube.Name(obj), version)
			continue
		}
		n.add("%s has the version %s, and none that this tekgate knows: its admission leaves the objects alone, "+
			"and images in them are not rewritten", kube.Name(obj), version)
	}
	if paths := newImageFields(obj, known); len(paths) > 0 {
		n.add("%s has fields that may hold images and that this tekgate does not know: %s: its admission does not "+
			"rewrite them, so name images of your mirror there", kube.Name(obj), fewOf(paths))
	}
}

// served reports whether a definition serves one of the versions.
func served(definition *unstructured.Unstructured, versions []string) bool {
	return slices.ContainsFunc(live.Maps(definition.Object, "spec", "versions"), func(v map[string]any) bool {
		name, _ := v["name"].(string)
		return v["served"] == true && slices.Contains(versions, name)
	})
}

// fewOf names a few of many.
func fewOf(paths []string) string {
	const few = 4
	if len(paths) <= few {
		return strings.Join(paths, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(paths[:few], ", "), len(paths)-few)
}

// imageName matches the names of fields that hold image references.
var imageName = lazyregexp.New(`(?:^i|I)mages?(?:Ref|Reference)?$`)

// newImageFields returns the paths of fields in the schemas of a definition whose names say that they
// hold images and that the known schemas do not have in any version.
func newImageFields(obj, known *unstructured.Unstructured) []string {
	was, is := imageFields(known), imageFields(obj)
	var paths []string
	for path := range is {
		if !was[path] {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func imageFields(definition *unstructured.Unstructured) map[string]bool {
	found := map[string]bool{}
	for _, version := range live.Maps(definition.Object, "spec", "versions") {
		schema, _, _ := unstructured.NestedFieldNoCopy(version, "schema", "openAPIV3Schema")
		walkSchema(schema, "", found)
	}
	return found
}

// walkSchema collects the paths of the fields below a schema whose names match imageName.
func walkSchema(schema any, at string, found map[string]bool) {
	fields, _ := schema.(map[string]any)
	if items, ok := fields["items"]; ok {
		walkSchema(items, at+"[]", found)
	}
	if inner, ok := fields["additionalProperties"]; ok {
		walkSchema(inner, at+"{}", found)
	}
	properties, _ := fields["properties"].(map[string]any)
	for name, inner := range properties {
		path := strings.TrimPrefix(at+"."+name, ".")
		if imageName.MatchString(name) {
			found[path] = true
		}
		walkSchema(inner, path, found)
	}
}
