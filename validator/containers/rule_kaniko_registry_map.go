package containers

import (
	"context"
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoRegistryMapRule = &rule.Rule{
	ID:       "kaniko-registry-map",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds entries of Kaniko's registry map (--registry-map and KANIKO_REGISTRY_MAP) that are
never applied, or with which Kaniko ends before it builds anything:

- docker.io=…: Kaniko looks Docker Hub up as index.docker.io, although its README shows
  docker.io. Other names of Docker Hub, and a key with a path or a scheme, are not applied
  either;
- an empty part (;; or ; at the end), or one without =: osscontainertools' Kaniko v1.28.3
  ends with "failed to set registry map", and older releases ignore what follows.

The map applies to FROM and COPY --from, not to --destination and --cache-repo. If all of
its registries fail, Kaniko asks the image's own registry, and its last error names that one.`,
	Check: checkKanikoRegistryMap,
}

func checkKanikoRegistryMap(_ context.Context, p *rule.Pass) {
	for _, step := range executorSteps(p) {
		for _, flag := range step.all("registry-map") {
			for _, problem := range kaniko.MapProblems(flag.Value) {
				p.Report(flag.Path, "in --registry-map %s", problem)
			}
		}
	}
	for _, at := range variables(p, "KANIKO_REGISTRY_MAP") {
		p.Step(1 + strings.Count(at.Value, ";"))
		for _, problem := range kaniko.MapProblems(at.Value) {
			p.Report(at.Path, "in KANIKO_REGISTRY_MAP %s", problem)
		}
	}
}

// variables returns the values of a variable in the steps, stepTemplates and podTemplates of an
// object.
func variables(p *rule.Pass, name string) []rule.Text {
	places := within(runOf(p), podTemplatesIn(p))
	for _, c := range containersIn(p) {
		if c.Step != nil || c.Unit == "the stepTemplate" {
			places = append(places, place{Path: c.Path, Unit: c.Unit, Fields: c.Fields, of: &c.Task})
		}
	}
	var r object.Reader
	var found []rule.Text
	for _, at := range places {
		for i, env := range r.FieldsList(at.Fields, "env") {
			if r.Text(env, "name") == name {
				found = append(found, rule.Text{Path: fmt.Sprintf("%s.env[%d].value", at.Path, i),
					Value: fill(p, *at.of, r.Text(env, "value"))})
			}
		}
	}
	return found
}
