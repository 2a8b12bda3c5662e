package pipelines

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var removedResourcesRule = &rule.Rule{
	ID:       "removed-resources",
	Severity: rule.Error,
	Since:    "v0.46.0",
	Kinds:    slices.Concat(rule.WithSteps, rule.Served(rule.TektonGroup, "PipelineResource", "v1alpha1")),
	Doc: `Finds PipelineResources: objects of this kind, resources in a Task, a Pipeline, its tasks
and runs, the inputs and outputs of v1alpha1, and $(resources.…) with its older forms.

Tekton Pipelines removed them in v0.46 (TEP-0074, tektoncd/pipeline#6150): it refuses such objects, and what a
TriggerTemplate is to create is refused at each event, with nothing but a line in the log
of the EventListener.

The modern form of a git resource is a workspace that the Task git-clone fills; of an
image resource, a string param with the image's name, and a result for its digest; of
storage and cluster, a Task of the catalog.`,
	Check: checkRemovedResources,
}

const modernResource = "for git, use a workspace that the Task git-clone fills; for an image, a param with its name"

func checkRemovedResources(_ context.Context, p *rule.Pass) {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	if p.Kind.Kind == "PipelineResource" {
		p.Report("spec",
			"PipelineResources were removed in Tekton Pipelines v0.46, so this is no more than a name: %s",
			modernResourceFor(r.Text(spec, "type")))
		return
	}
	if p.Kind.Kind == "TaskRun" || p.Kind.Kind == "PipelineRun" {
		reportResources(p, spec, "spec")
	}
	for _, s := range specificationsIn(p) {
		if s.Kind != "StepAction" {
			reportResources(p, s.Fields, s.Path)
		}
		for _, task := range s.tasks() {
			reportResources(p, task.Fields, task.Path)
		}
		for _, use := range s.uses("resources", "inputs", "outputs") {
			if use.Parts[0] != "resources" ||
				len(use.Parts) == 4 && slices.Contains([]string{"inputs", "outputs"}, use.Parts[1]) {
				p.Report(use.Path,
					"%s is of a PipelineResource, which Tekton Pipelines removed in v0.46, so it is not filled in: %s",
					use.Text, "use $(workspaces.NAME.path) for files and $(params.NAME) for names")
			}
		}
	}
}

// reportResources reports the fields of a specification, a run or a task in which
// resources stood.
func reportResources(p *rule.Pass, fields map[string]any, path string) {
	for _, key := range []string{"resources", "inputs", "outputs"} {
		switch value := fields[key].(type) {
		case nil:
			continue
		case map[string]any:
			_, inputs := value["inputs"]
			_, outputs := value["outputs"]
			_, resources := value["resources"]
			if !inputs && !outputs && !resources {
				continue // those of a container in a wrong place, or inputs that are but params
			}
		}
		p.Report(rule.Join(path, key),
			"%s are PipelineResources, which Tekton Pipelines removed in v0.46, so it refuses this: %s",
			key, modernForms(fields[key]))
	}
}

// modernForms says what takes the place of the resources in a value, by their types
// where it tells them.
func modernForms(value any) string {
	var types []string
	for _, t := range rule.TextsIn(value, "") {
		if len(t.Path) > 5 && t.Path[len(t.Path)-5:] == ".type" && !slices.Contains(types, t.Value) {
			types = append(types, t.Value)
		}
	}
	if len(types) == 1 {
		return modernResourceFor(types[0])
	}
	return modernResource
}

func modernResourceFor(kind string) string {
	switch kind {
	case "git":
		return "use a workspace that the Task git-clone fills, and params for url and revision"
	case "image":
		return "use a param with the image's name, and a result for its digest"
	case "", "pullRequest":
		return modernResource
	}
	return fmt.Sprintf("use a Task that does what the type %q did, with params and a workspace", kind)
}
