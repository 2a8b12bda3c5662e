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
	brought := &names{}
	anyBrought := false
	for i, s := range specificationsIn(p) {
		if i == 0 { // the run is the same for all
			brought = podTemplateVolumes(s.Run)
			anyBrought = slices.ContainsFunc(brought.list, expression.Any)
		}
		if s.Kind != "Task" {
			continue
		}
		known := namesOf(s.Fields, "volumes")
		if anyBrought || slices.ContainsFunc(known.list, expression.Any) {
			continue
		}
		for _, mount := range mountsIn(s) {
			if !known.has(mount.Name) && !brought.has(mount.Name) && !expression.Any(mount.Name) &&
				!strings.HasPrefix(mount.Name, "tekton-internal-") {
				p.Report(mount.Path+".name", "there is no volume %q, so the Pod would be refused: %s",
					mount.Name,
					remedyFor(p, mount.Name, func() []string { return slices.Concat(known.list, brought.list) },
						"add it to volumes, or declare a workspace"))
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
func podTemplateVolumes(run map[string]any) *names {
	var r object.Reader
	found := &names{}
	places := append([]map[string]any{run, r.Fields(run, "taskRunTemplate")}, r.FieldsList(run, "taskRunSpecs")...)
	for _, place := range places {
		for _, key := range []string{"podTemplate", "taskPodTemplate"} {
			for _, name := range namesOf(r.Fields(place, key), "volumes").list {
				found.add(name)
			}
		}
	}
	return found
}
