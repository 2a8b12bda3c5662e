package sources

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// withSources are the kinds in which Tasks, Pipelines or StepActions are referred to
// or written out.
var withSources = slices.Concat(rule.Tasks, rule.ClusterTasks, rule.TaskRuns, rule.Pipelines, rule.PipelineRuns)

// source is a place that says which Task, Pipeline or StepAction is to be used.
type source struct {
	Path     string                // of the reference or specification: "spec.taskRef", "spec.tasks[0].taskSpec"
	Kind     string                // Task, Pipeline or StepAction
	Inline   bool                  // whether the specification is written out; nothing below is set then
	Name     string                // of an object of the namespace, "" where a resolver fetches it
	Bundle   string                // of the field bundle, which v1 no longer has
	Resolver string                // "" for none
	Params   map[string]rule.Param // of the resolver; texts are filled in as far as the run's params are known here
}

// sourcesIn returns them all, those of pipelines within pipelines and of steps too.
// References to custom tasks are none of them.
func sourcesIn(p *rule.Pass) []source {
	return rule.Once(p, "sourcesIn", func() []source { return walkSourcesIn(p) })
}

func walkSourcesIn(p *rule.Pass) []source {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	run := object.Task{Run: object.Run{Params: r.FieldsList(spec, "params")}}
	var found []source
	switch p.Kind.Kind {
	case "TaskRun":
		found = append(sourceOf(p, spec, "spec", "taskRef", "Task", run.Remembering()),
			inlineOf(spec, "spec", "taskSpec", "Task")...)
	case "PipelineRun":
		found = append(sourceOf(p, spec, "spec", "pipelineRef", "Pipeline", run.Remembering()),
			inlineOf(spec, "spec", "pipelineSpec", "Pipeline")...)
		run.Spec = r.Fields(spec, "pipelineSpec") // its defaults
		found = append(found, pipelineSources(p, run.Spec, "spec.pipelineSpec", run.Remembering())...)
	case "Pipeline":
		found = pipelineSources(p, spec, "spec", object.Task{})
	}
	return append(found, stepSources(p)...)
}

// pipelineSources returns the sources of a pipeline's tasks.
func pipelineSources(p *rule.Pass, spec map[string]any, at string, run object.Task) []source {
	var r object.Reader
	var found []source
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(spec, list) {
			path := fmt.Sprintf("%s.%s[%d]", at, list, i)
			found = append(found, sourceOf(p, task, path, "taskRef", "Task", run)...)
			found = append(found, sourceOf(p, task, path, "pipelineRef", "Pipeline", run)...)
			found = append(found, inlineOf(task, path, "taskSpec", "Task")...)
			found = append(found, inlineOf(task, path, "pipelineSpec", "Pipeline")...)
			// What the tasks of an inner pipeline are given is not the run's params.
			found = append(found,
				pipelineSources(p, r.Fields(task, "pipelineSpec"), path+".pipelineSpec", object.Task{})...)
		}
	}
	return found
}

func stepSources(p *rule.Pass) []source {
	var found []source
	if p.Kind.Kind == "StepAction" {
		return nil
	}
	for _, task := range object.Tasks(p.Object) {
		steps, _ := task.Steps()
		if !task.Run.Known { // a run may give other values than the defaults
			task = object.Task{}
		}
		for _, step := range steps {
			found = append(found, sourceOf(p, step.Fields, step.Path, "ref", "StepAction", task)...)
		}
	}
	return found
}

// sourceOf reads the reference in a field of fields. The texts of its params are
// filled in by task.
func sourceOf(p *rule.Pass, fields map[string]any, at, key, kind string, task object.Task) []source {
	var r object.Reader
	ref := r.Fields(fields, key)
	version := r.Text(ref, "apiVersion")
	if ref == nil || (version != "" && !strings.HasPrefix(version, rule.TektonGroup+"/")) {
		return nil
	}
	s := source{
		Path: at + "." + key, Kind: kind, Name: r.Text(ref, "name"),
		Bundle: r.Text(ref, "bundle"), Resolver: r.Text(ref, "resolver"), Params: map[string]rule.Param{},
	}
	for _, given := range rule.ParamsIn(ref, s.Path) {
		if value, is := given.Value.(string); is {
			filled := task.Fill(value)
			p.Grow(len(filled) - len(value))
			given.Value = filled
		}
		s.Params[given.Name] = given
	}
	return []source{s}
}

func inlineOf(fields map[string]any, at, key, kind string) []source {
	var r object.Reader
	spec := r.Fields(fields, key)
	if spec == nil || r.Text(spec, "apiVersion") != "" { // of a custom task
		return nil
	}
	return []source{{Path: at + "." + key, Kind: kind, Inline: true}}
}

// given returns a param's text, what is not known of it included, and the path of its
// value. Tekton takes numbers and booleans for texts. It is "" for a param that is not
// given, is null, or is a list or an object.
func (s source) given(name string) (text, path string) {
	p := s.Params[name]
	switch value := p.Value.(type) {
	case string:
		text = value
	case json.Number:
		text = value.String()
	case bool:
		text = strconv.FormatBool(value)
	}
	return text, p.Path + ".value"
}

// has tells whether a param is given at all, be it empty.
func (s source) has(name string) bool {
	_, ok := s.Params[name]
	return ok
}

// certain tells whether nothing of a text has still to be filled in.
func certain(text string) bool { return !expression.Any(text) }

// climbs tells whether a path certainly has a part "..": expressions may hold
// anything, but they cannot take that part away.
func climbs(path string) bool {
	for found := expression.Find(path); len(found) > 0; found = expression.Find(path) {
		path = path[:found[0].Start] + "x" + path[found[0].End:]
	}
	return slices.Contains(strings.Split(path, "/"), "..")
}

// bundle returns the image reference of a bundle and the path of it; "" where the
// source is none or names none.
func (s source) bundle() (reference, path string) {
	if s.Bundle != "" {
		return s.Bundle, s.Path + ".bundle"
	}
	if s.Resolver != "bundles" {
		return "", ""
	}
	return s.given("bundle")
}

// address is a place that a resolver fetches from.
type address struct {
	Path  string // of the text
	Text  string
	Param string // url or serverURL
}

// addresses returns those of a git or http resolver's params, as far as they are
// certain.
func (s source) addresses() []address {
	var found []address
	for _, name := range []string{"url", "serverURL"} {
		text, path := s.given(name)
		if text != "" && certain(text) && (s.Resolver == "git" || s.Resolver == "http") {
			found = append(found, address{path, text, name})
		}
	}
	return found
}

// secureShell matches git's short form of SSH, user@host:path. Git takes anything
// that begins with a word and two colons for a program to be run, and a leading
// dash for an option.
var secureShell = lazyregexp.New(`^[A-Za-z0-9_][^\s/:]*@(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):`)

// parts returns the scheme and the host, both in lower case and without a port. It
// reports false for what is no address of another machine.
func (a address) parts() (scheme, host string, ok bool) {
	if m := secureShell.FindStringSubmatch(a.Text); m != nil && !strings.Contains(a.Text, "://") {
		return "ssh", strings.ToLower(strings.Trim(m[1], "[]")), true
	}
	u, err := url.Parse(a.Text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return "", "", false
	}
	return strings.ToLower(u.Scheme), strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), true
}

// pipelineIn returns the specification of a pipeline that a Pipeline or PipelineRun
// writes out, nil where there is none, and its path.
func pipelineIn(p *rule.Pass) (spec map[string]any, path string) {
	var r object.Reader
	spec = r.Fields(p.Object, "spec")
	if p.Kind.Kind == "Pipeline" {
		return spec, "spec"
	}
	return r.Fields(spec, "pipelineSpec"), "spec.pipelineSpec"
}
