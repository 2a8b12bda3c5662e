package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Injected is an image that Tekton's controller puts into Pods of runs.
type Injected struct {
	Image string // as it is written
	Flag  string // such as shell-image
	// Fails says what fails if its container does not start.
	Fails string
	// Known says that Tekton gives its container the security context of set-security-context. Of a
	// flag that is new to this program that is only likely.
	Known bool
}

// injected says what each image of the controller's flags is for (pkg/pod/script.go, pod.go and
// workingdir_init.go and pkg/reconciler/pipelinerun/affinity_assistant.go, pipeline v1.15.1).
var injected = map[string]string{
	"entrypoint-image":        "every TaskRun fails",
	"nop-image":               "every affinity assistant fails",
	"shell-image":             "every step with a script fails",
	"sidecarlogresults-image": "every TaskRun whose results come from sidecar logs fails",
	"workingdirinit-image":    "every step with a workingDir below /workspace fails",
}

// InjectedImages returns the images that the controller of a release puts into Pods on Linux.
func InjectedImages(objects []*unstructured.Unstructured) []Injected {
	var all []Injected
	for _, obj := range objects {
		if obj.GetKind() != "Deployment" || workloads[obj.GetName()].program != controller {
			continue
		}
		for _, field := range object.Images(obj.Object) {
			flag := strings.TrimLeft(field.Flag, "-")
			if flag == "" || strings.HasSuffix(flag, "-win") || strings.HasSuffix(flag, "-windows") {
				continue
			}
			fails, known := injected[flag]
			if !known {
				fails = "runs that need it fail"
			}
			all = append(all, Injected{Image: field.Value, Flag: flag, Fails: fails, Known: known})
		}
	}
	return all
}

// Refused returns why the kubelet does not start the image with set-security-context, as the first
// of its users that it refuses; nil if it starts all.
func (i Injected) Refused(users []registry.User) error {
	for _, user := range users {
		if err := user.NonRoot(); err != nil {
			return fmt.Errorf("%w on %s, and the feature flag %s forbids that for -%s: %s",
				err, user.Platform, SecurityContextFlag, i.Flag, i.Fails)
		}
	}
	return nil
}

// controller puts images into Pods.
var controller = tekton("pipeline", "controller")

// SecurityContextFlag is the key of the ConfigMap feature-flags with which Tekton demands of the
// containers that it adds that they do not run as root.
const SecurityContextFlag = "set-security-context"

// onByDefault is the first release of Pipelines whose controller sets the security context if the
// key is missing.
var onByDefault = semver.MustParse("1.16.0")

// SetsSecurityContext reports whether a release of Pipelines sets the security context, with these
// data of feature-flags. An unknown version counts as one before v1.16.
func SetsSecurityContext(flags map[string]string, version string) bool {
	if text, ok := flags[SecurityContextFlag]; ok {
		on, err := strconv.ParseBool(text) // as Tekton reads it
		return err == nil && on
	}
	v, err := semver.NewVersion(version)
	return err == nil && !v.LessThan(onByDefault)
}

// Settings returns a ConfigMap of Pipelines, such as feature-flags, or nil.
func Settings(objects []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "ConfigMap" && o.GetName() == name && o.GetNamespace() == wellknown.PipelinesNamespace
	})
	if i < 0 {
		return nil
	}
	return objects[i]
}

// UserOfPods returns the user that the ConfigMap config-defaults gives the Pods of all runs, if
// their podTemplate does not say otherwise. ok is false if it gives none. Its containers then run
// as that user, whatever their images say.
func UserOfPods(defaults map[string]string) (uid int64, ok bool) {
	var template struct {
		SecurityContext struct {
			RunAsUser *int64 `json:"runAsUser"`
		} `json:"securityContext"`
	}
	err := yaml.Unmarshal([]byte(defaults["default-pod-template"]), &template)
	if err != nil || template.SecurityContext.RunAsUser == nil {
		return 0, false
	}
	return *template.SecurityContext.RunAsUser, true
}
