package release

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// released returns the objects of the compiled-in releases of these versions, none for
// versions that are not compiled in.
func released(versions installer.Versions) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, m := range release.Manifests {
		wanted := versions.Triggers
		if m.Name == "pipeline" {
			wanted = versions.Pipeline
		}
		for _, line := range release.Lines {
			if line.Version(m) != wanted {
				continue
			}
			read, err := manifests.TektonOf(line, m.Name)
			if err != nil {
				return nil, err
			}
			objects = append(objects, read.Objects...)
			break
		}
	}
	return objects, nil
}
