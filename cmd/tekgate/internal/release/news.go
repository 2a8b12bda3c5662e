package release

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/manifests"
)

// newsOf returns what this program does not know about the objects of a release, if they are newer
// than the embedded manifests of the same component. A release without a version is not compared.
func newsOf(objects []*unstructured.Unstructured, embedded ...string) ([]string, error) {
	versions := installer.VersionsOf(objects)
	version := versions.Pipeline + versions.Triggers // one of them is empty
	if version == "" {
		return nil, nil
	}
	var known []*unstructured.Unstructured
	for _, name := range embedded {
		release, err := manifests.Tekton(name)
		if err != nil {
			return nil, err
		}
		if !manifest.IsNewer(version, release.Version) {
			return nil, nil
		}
		known = append(known, release.Objects...)
	}
	return manifest.News(objects, known), nil
}
