package manifest

import (
	"maps"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
)

// Copies finds the images of a release that another mirror has renamed, such as
// docker.io/tektondev/pipeline-controller:v0.27.3. It returns the upstream name of each, by
// the reference as image.Reference.String returns it.
//
// An image is a copy if its place, its name and its version agree: the place in Tekton's
// own workloads says which program it holds, its name must be that program's with nothing
// but Tekton's own words before it, and its tag must be the version of the release. So an
// image of the user, such as a patched build of the controller, is none.
func Copies(objects []*unstructured.Unstructured) map[string]image.Reference {
	copies := map[string]image.Reference{}
	ambiguous := map[string]bool{}
	for _, obj := range objects {
		main, ok := workloads[obj.GetName()]
		if !ok || obj.GetKind() != "Deployment" && obj.GetKind() != "StatefulSet" {
			continue
		}
		version := versionOf(obj)
		for _, field := range object.Images(obj.Object) {
			ref, origin, ok := behind(field, main, version)
			if !ok {
				continue
			}
			before, seen := copies[ref.String()]
			ambiguous[ref.String()] = ambiguous[ref.String()] || seen && before != origin
			copies[ref.String()] = origin
		}
	}
	maps.DeleteFunc(copies, func(name string, _ image.Reference) bool { return ambiguous[name] })
	return copies
}

// behind returns the image in a field of a workload, and the upstream image that it is a
// copy of.
func behind(field *object.ImageField, main program, version string) (ref, origin image.Reference, ok bool) {
	ref, err := image.Parse(field.Value)
	if err != nil || isPublished(ref) {
		return ref, origin, false
	}
	flag := strings.TrimLeft(field.Flag, "-")
	switch p := flags[flag]; {
	case p.component == main.component:
		origin, ok = p.behind(ref, version)
	case mainImage.MatchString(field.Path):
		origin, ok = main.behind(ref, version)
	default:
		origin, ok = companionBehind(flag, ref, version)
	}
	return ref, origin, ok
}

// workloads are those of Tekton's releases, and the program of each.
var workloads = map[string]program{
	"tekton-pipelines-controller":       {"pipeline", "controller"},
	"tekton-pipelines-webhook":          {"pipeline", "webhook"},
	"tekton-pipelines-remote-resolvers": {"pipeline", "resolvers"},
	"tekton-events-controller":          {"pipeline", "events"},
	"tekton-triggers-controller":        {"triggers", "controller"},
	"tekton-triggers-webhook":           {"triggers", "webhook"},
	"tekton-triggers-core-interceptors": {"triggers", "interceptors"},
}

// flags are the programs whose images Tekton's controllers read from flags.
var flags = map[string]program{
	"creds-image":                {"pipeline", "creds-init"},
	"entrypoint-image":           {"pipeline", "entrypoint"},
	"git-image":                  {"pipeline", "git-init"},
	"imagedigest-exporter-image": {"pipeline", "imagedigestexporter"},
	"kubeconfig-writer-image":    {"pipeline", "kubeconfigwriter"},
	"nop-image":                  {"pipeline", "nop"},
	"pr-image":                   {"pipeline", "pullrequest-init"},
	"sidecarlogresults-image":    {"pipeline", "sidecarlogresults"},
	"workingdirinit-image":       {"pipeline", "workingdirinit"},
	"el-image":                   {"triggers", "eventlistenersink"},
}

// mainImage is the path of the image of the only container of each workload.
var mainImage = regexp.MustCompile(`^spec\.template\.spec\.containers\[0\]\.image$`)

// versionOf returns the version of the release that a workload belongs to, as its labels
// say it, or "".
func versionOf(obj *unstructured.Unstructured) string {
	labels := obj.GetLabels()
	for _, key := range []string{
		"app.kubernetes.io/version", "pipeline.tekton.dev/release", "triggers.tekton.dev/release", "version",
	} {
		if releaseVersion.MatchString(labels[key]) {
			return labels[key]
		}
	}
	return ""
}

// releaseVersion matches the versions of Tekton's releases.
var releaseVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

// published begin the names that Tekton and the makers of its companions publish under.
var published = regexp.MustCompile(`^(?:(?:\w+\.)?gcr\.io/(?:tekton-releases|distroless|google\.com)/|` +
	`ghcr\.io/(?:tektoncd|distroless)/|cgr\.dev/|distroless\.dev/|mcr\.microsoft\.com/)`)

func isPublished(ref image.Reference) bool { return published.MatchString(ref.Repository()) }

// CopyOf returns the upstream image that a reference is a copy of by its name alone, if its
// name has Tekton's and can be one image only. It is a guess: Copies looks at the place, too.
func CopyOf(ref image.Reference) (origin image.Reference, ok bool) {
	if isPublished(ref) || !strings.Contains(ref.Repository(), "tekton") {
		return origin, false
	}
	found := map[image.Reference]bool{}
	for _, programs := range []map[string]program{workloads, flags} {
		for _, p := range programs {
			if behind, is := p.behind(ref, ""); is {
				origin = behind
				found[behind] = true
			}
		}
	}
	return origin, len(found) == 1
}
