package sources

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var requiredTaskRule = &rule.Rule{
	ID:       "required-task",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithTasks,
	Doc: `Finds pipelines that do not run each of policy.trust.requiredTasks. A Task is known by its
name in taskRef, by the resolver's param name, or by the file that the git and http
resolvers fetch, without its ending; pipelines within the pipeline count.

A pipeline with a reference that is still to be filled in, or with one to another
Pipeline, passes: it may run it.`,
	Check: checkRequiredTask,
}

func checkRequiredTask(_ context.Context, p *rule.Pass) {
	required := rule.PolicyOf[TrustPolicy](p).RequiredTasks
	spec, at := pipelineIn(p)
	if spec == nil || len(required) == 0 {
		return
	}
	var names []string
	for _, s := range sourcesIn(p) {
		name := s.taskName()
		switch {
		case s.Kind == "StepAction" || s.Inline:
		case s.Kind == "Pipeline" || !certain(name):
			return
		default:
			names = append(names, name)
		}
	}
	for _, want := range required {
		if !slices.ContainsFunc(names, func(name string) bool { return rule.MatchesAny([]string{want}, name) }) {
			p.Report(at+".tasks",
				"no task of this pipeline runs the Task %.63q, which this cluster requires of every pipeline: add it",
				want)
		}
	}
}

// taskName is what a Task is called, as far as its reference tells.
func (s source) taskName() string {
	name, _ := s.given("name")
	file, _ := s.given("pathInRepo")
	if s.Resolver == "http" {
		file, _ = s.given("url")
	}
	file = strings.TrimSuffix(strings.TrimSuffix(path.Base(file), ".yaml"), ".yml")
	return cmp.Or(s.Name, name, file)
}
