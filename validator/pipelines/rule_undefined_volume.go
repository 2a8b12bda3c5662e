package pipelines

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var undefinedVolumeRule = &rule.Rule{
	ID:       "undefined-volume",
	Severity: rule.Warning,
	Kinds:    slices.Concat(rule.Tasks, rule.ClusterTasks, rule.TaskRuns, rule.Pipelines, rule.PipelineRuns),
	Doc: `Finds volumeMounts of steps, sidecars and the stepTemplate that name a volume which the
Task does not have.

The Pod is refused, and the run fails with PodCreationFailed, unless the podTemplate of
every run brings the volume: then it is better declared as a workspace.

Volumes of the podTemplates in the same run are taken into account, and names with a
$(…) in them are passed over.`,
	Check: checkUndefinedVolume,
}

func checkUndefinedVolume(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		if s.Kind != "Task" {
			continue
		}
		known := slices.Concat(namesOf(s.Fields, "volumes"), podTemplateVolumes(s.Run))
		if slices.ContainsFunc(known, expression.Any) {
			continue
		}
		for _, mount := range mountsIn(s) {
			if !slices.Contains(known, mount.Name) && !expression.Any(mount.Name) &&
				!strings.HasPrefix(mount.Name, "tekton-internal-") {
				p.Report(mount.Path+".name", "there is no volume %q, so the Pod would be refused: %s",
					mount.Name, remedyFor(mount.Name, known, "add it to volumes, or declare a workspace"))
			}
		}
	}
}

func mountsIn(s specification) []namedItem {
	var r object.Reader
	found := itemsIn(r.Fields(s.Fields, "stepTemplate"), s.Path+".stepTemplate", "volumeMounts")
	for _, list := range []string{"steps", "sidecars"} {
		for i, part := range r.FieldsList(s.Fields, list) {
			found = append(found, itemsIn(part, fmt.Sprintf("%s.%s[%d]", s.Path, list, i), "volumeMounts")...)
		}
	}
	return found
}

// podTemplateVolumes returns the names of all volumes that a run brings to any task.
func podTemplateVolumes(run map[string]any) []string {
	var r object.Reader
	var names []string
	places := append([]map[string]any{run, r.Fields(run, "taskRunTemplate")}, r.FieldsList(run, "taskRunSpecs")...)
	for _, place := range places {
		for _, key := range []string{"podTemplate", "taskPodTemplate"} {
			names = append(names, namesOf(r.Fields(place, key), "volumes")...)
		}
	}
	return names
}
