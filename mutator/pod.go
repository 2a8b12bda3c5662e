package mutator

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// localTask returns the specification of a Task of the run's namespace, or why it
// is not to be used.
func (p *pass) localTask(ctx context.Context, name string) (spec map[string]any, why string) {
	task, why := p.storedTask(ctx, p.space, name)
	if why != "" {
		return nil, why
	}
	var r object.Reader
	if skips(r.Fields(r.Fields(task, "metadata"), "annotations"), p.rule.ID) {
		return nil, fmt.Sprintf("the annotation %s of Task %q names the rule", wellknown.SkipRulesKey, name)
	}
	return r.Fields(task, "spec"), ""
}

// podEnv is the field of a podTemplate that carries variables.
var podEnv = newestIn("env", nil)

// podEnvMerged is the release that merges a podTemplate's env with the default's:
// tektoncd/pipeline#7551.
var podEnvMerged = version.MustParseGeneric("v0.56.0")

// noPodEnv says why a run's podTemplate cannot carry a variable, or "".
func (p *pass) noPodEnv(name string) string {
	if slices.Contains(p.tekton.ForbiddenEnv, name) {
		return "Tekton's default-forbidden-env names " + name
	}
	if why := p.tekton.refuses(podEnv, (*newField).podName); why != "" {
		return why // the variable is added in the Pod
	}
	var r object.Reader
	if p.tekton.olderThan(podEnvMerged) && len(r.List(p.tekton.DefaultPodTemplate, "env")) > 0 {
		return fmt.Sprintf("with Tekton %s a podTemplate.env hides the one of default-pod-template", p.tekton.Version)
	}
	return ""
}

// addPodEnv appends a variable to the run's podTemplate.
func (p *pass) addPodEnv(entry map[string]any) {
	pod := p.podTemplate()
	env, _ := pod["env"].([]any)
	pod["env"] = append(slices.Clip(env), entry)
}

// podTemplate returns the run's podTemplate, which it makes where there is none.
func (p *pass) podTemplate() map[string]any {
	place, _ := object.SettingsOf(p.object)
	pod, _ := place.Fields["podTemplate"].(map[string]any)
	if pod == nil {
		pod = map[string]any{}
		place.Set("podTemplate", pod)
	}
	return pod
}

// givenPod returns the podTemplate that an author gave, nil for none, and where it
// stands; it reports false for JSON of another shape.
func (p *pass) givenPod() (pod map[string]any, where string, ok bool) {
	place, ok := object.SettingsOf(p.object)
	var r object.Reader
	pod = r.Fields(place.Fields, "podTemplate")
	return pod, place.Path + ".podTemplate", ok && !r.Odd
}
