package mutator

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/kaniko"
)

var envRule = Rule{
	ID:    "env",
	Kinds: slices.Concat(withSteps, pods),
	Doc: `Sets environment variables in steps: GOPROXY, the mirrors of npm and pip, proxies.

Configured by ` + "`mutator.env.set`" + `, a list of ` + "`variables`" + ` (as in a container's env) for
` + "`steps`" + `, which are selected by ` + "`names`" + ` and ` + "`images`" + `; without either all are. Where
two of the list set one variable in a step, the first counts. A value that is
secret, such as that of a proxy with a password, is taken from a Secret or
ConfigMap of the run's namespace by ` + "`valueFrom`" + `.

A step is left alone if it has envFrom; a variable if the step, its stepTemplate,
the run's podTemplate or Tekton's default-pod-template has it, whatever its value; or if
the installed Tekton does not know a field of its valueFrom, and would refuse the run.
Steps of a local Task and of StepActions get theirs in the Pod. Sidecars get none.`,
	scope: func(s *settings) *scope { return &s.scopes.env },
	apply: applyEnv,
}

type envSet struct {
	steps     steps
	variables []envEntry
}

type envEntry struct {
	name  string
	did   string // what is said of it
	entry map[string]any
	new   *newField // what came last of it; nil if every release of Tekton knows all of it
}

func (s *settings) compileEnv() error {
	c := checker{section: "env"}
	s.scopes.env = compileScope(s.Env.Scope, len(s.Env.Set) > 0, true, c.problem)
	for i, set := range s.Env.Set {
		at := fmt.Sprintf("set[%d]", i)
		out := envSet{steps: compileSteps(set.Steps, at+".steps", c.problem)}
		if len(set.Variables) == 0 {
			c.problem("%s.variables: is empty: name at least one variable", at)
		}
		for j, v := range set.Variables {
			at := fmt.Sprintf("%s.variables[%d]", at, j)
			switch problems := validation.IsEnvVarName(v.Name); {
			case len(problems) > 0:
				c.problem("%s.name: %q is not a name: %s", at, v.Name, problems[0])
			case v.Name == dockerConfig:
				c.problem("%s.name: DOCKER_CONFIG is what the rule docker-config sets: write dockerConfig.path", at)
			case v.Value != "" && v.ValueFrom != nil:
				c.problem("%s: %s has a value and a valueFrom: leave one out", at, v.Name)
			case v.Name == registryMap:
				for _, problem := range kaniko.MapProblems(v.Value) {
					c.problem("%s.value: %s", at, problem)
				}
			}
			entry, err := decoded(v)
			if err != nil {
				return err
			}
			out.variables = append(out.variables, envEntry{v.Name, "set " + v.Name, entry, newestIn("", entry)})
		}
		s.env = append(s.env, out)
	}
	return c.err()
}

func applyEnv(_ context.Context, p *pass) {
	if len(p.tasks()) == 0 {
		p.not("", "no steps are written out in it")
	}
	for _, task := range p.tasks() {
		for _, v := range p.views(task) {
			p.env(v)
		}
	}
}

func (p *pass) env(v *view) {
	why := v.closed()
	if why == "" {
		why = p.excludesImage(&p.settings.scopes.env, v.known)
	}
	if why != "" {
		p.notStep(v, why)
		return
	}
	selected := false
	for i := range p.settings.env {
		set := &p.settings.env[i]
		if !p.selects(&set.steps, v) {
			continue
		}
		selected = true
		for _, variable := range set.variables {
			p.setVariable(v, variable)
		}
	}
	if !selected {
		p.notStep(v, "no entry of mutator.env.set selects it")
	}
}

func (p *pass) setVariable(v *view, variable envEntry) {
	switch {
	case v.variable(variable.name) != nil:
		p.notStep(v, variable.name+" is set already")
		return
	case setsEnv(p.tekton.DefaultPodTemplate, variable.name):
		p.notStep(v, "Tekton's default-pod-template sets "+variable.name)
		return
	}
	if why := p.tekton.refuses(variable.new, (*newField).variableName); why != "" && !v.task.InPod() {
		p.leaveOut(why, "remove it from mutator.env.set")
		p.notStep(v, variable.name+" is not set: "+why)
		return
	}
	v.add(variable.entry)
	p.did(v.place(), variable.did)
}
