package mutator

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
)

var resourcesRule = Rule{
	ID:    "resources",
	Kinds: slices.Concat(runs, tasks, pipelines, pods),
	Doc: `Gives steps that say nothing about their resources those of the configuration.

Configured by ` + "`mutator.resources.set`" + `, a list of ` + "`requests` and `limits`" + ` for ` + "`steps`" + `,
selected by ` + "`names`" + ` and ` + "`images`" + `; without either all are. The first that selects a
step counts.

A step is left alone if

- it says anything about its resources, or its stepTemplate does: half of a pair
  from each could contradict the other;
- the run overrides them for the step (stepSpecs) or for the whole task
  (computeResources);
- a StepAction defines it, which has no place for them: it is given its resources
  in the Pod.

A LimitRange of the namespace is applied by Tekton to steps without resources; what
this rule sets takes its place.`,
	scope: func(s *settings) *scope { return &s.scopes.resources },
	apply: applyResources,
}

type resourcesSet struct {
	steps  steps
	fields map[string]any
}

func (s *settings) compileResources() error {
	c := checker{section: "resources"}
	s.scopes.resources = compileScope(s.Resources.Scope, len(s.Resources.Set) > 0, true, c.problem)
	for i, set := range s.Resources.Set {
		at := fmt.Sprintf("set[%d]", i)
		if len(set.Requests)+len(set.Limits) == 0 {
			c.problem("%s: has neither requests nor limits", at)
		}
		for name, request := range set.Requests {
			if limit, ok := set.Limits[name]; ok && request.Cmp(limit) > 0 {
				c.problem("%s: the request of %s, %s, is above the limit, %s", at, name, request.String(),
					limit.String())
			}
		}
		selected := compileSteps(set.Steps, at+".steps", c.problem)
		set.Steps = Steps{}
		fields, err := decoded(set)
		if err != nil {
			return err
		}
		delete(fields, "steps")
		s.resources = append(s.resources, resourcesSet{selected, fields})
	}
	return c.err()
}

func applyResources(_ context.Context, p *pass) {
	if len(p.tasks()) == 0 {
		p.not("", "no steps are written out in it")
	}
	for _, task := range p.tasks() {
		for _, v := range p.views(task) {
			p.resources(v)
		}
	}
}

func (p *pass) resources(v *view) {
	why := p.hasResources(v)
	if why == "" {
		why = p.excludesImage(&p.settings.scopes.resources, v.known)
	}
	if why != "" {
		p.notStep(v, why)
		return
	}
	i := slices.IndexFunc(p.settings.resources, func(set resourcesSet) bool { return p.selects(&set.steps, v) })
	if i < 0 {
		p.notStep(v, "no entry of mutator.resources.set selects it")
		return
	}
	v.step.Fields[p.resourcesKey()] = p.settings.resources[i].fields
	p.did(v.place(), "set its resources")
}

// resourcesKey is how a step's resources are called: v1 renamed them.
func (p *pass) resourcesKey() string {
	if p.kind.Group == "tekton.dev" && p.kind.Version == "v1" {
		return "computeResources"
	}
	return "resources"
}

// hasResources says who has decided about a step's resources already, or "".
func (p *pass) hasResources(v *view) string {
	var r object.Reader
	key := p.resourcesKey()
	template := v.task.Template(&r)
	said := func(fields map[string]any) bool { return len(r.Fields(fields, key)) > 0 }
	overridden := slices.ContainsFunc(v.task.Run.Overrides,
		func(o map[string]any) bool { return o["name"] == v.step.Name() })
	switch {
	case v.ref:
		return "a StepAction defines it"
	case said(v.step.Fields) || said(template):
		return "it has resources"
	case overridden:
		return "the run overrides its resources"
	case len(v.task.Run.Resources) > 0:
		return "the run says what the whole task gets"
	case r.Odd:
		return "it is not of the shape that Tekton takes"
	}
	return ""
}
