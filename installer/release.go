package installer

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/image"
)

// Release is what is to be installed, rendered.
type Release struct {
	Objects []*unstructured.Unstructured
	// Images say which rule gave each reference, for the message about one
	// that cannot be pulled.
	Images   []image.Rewritten
	Versions Versions
	// Conditions are the expressions of Tekgate's match conditions that come from
	// the configuration, by the webhook's name: see keepConditions.
	Conditions map[string]string
	// Notes are sentences about decisions that were taken on the way here.
	Notes []string
	// Declared are the settings of Tekton that the configuration decides.
	Declared Declared
	// Parts are what it has beside Pipelines, Triggers and Tekgate.
	Parts []Part
	// Dropped are the names of the parts, and perhaps Triggers, that the user wants removed.
	Dropped []string
}

// VersionsOf reads the versions of Pipelines, Triggers and other parts from the objects of
// a release. File names and image tags are no help: the tags may be the
// mirror's own, and the notags form of a release has none.
func VersionsOf(objects []*unstructured.Unstructured, parts ...Part) Versions {
	v := Versions{Components: partVersions(objects, parts)}
	for _, obj := range objects {
		if foreign(obj) {
			continue
		}
		found := componentVersion(obj, "pipeline", "pipelines-info")
		if v.Pipeline == "" {
			v.Pipeline = found
		}
		found = componentVersion(obj, "triggers", "triggers-info")
		if v.Triggers == "" {
			v.Triggers = found
		}
	}
	return v
}

func componentVersion(obj *unstructured.Unstructured, component, info string) string {
	version := obj.GetLabels()[component+".tekton.dev/release"]
	if obj.GetKind() == "ConfigMap" && obj.GetName() == info {
		version = live.Text(obj.Object, "data", "version")
	}
	if !strings.HasPrefix(version, "v") {
		return ""
	}
	return version
}
