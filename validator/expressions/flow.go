package expressions

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// paramScope says, for each param that a task can use, which params of the TriggerTemplate
// are in its value. What is around it is linked and not copied, since many tasks have the
// same around them. A nil scope is empty.
type paramScope struct {
	outer *paramScope
	own   map[string][]string
}

// of returns the params of the TriggerTemplate in the value of a param.
func (s *paramScope) of(name string) []string {
	for ; s != nil; s = s.outer {
		if names, given := s.own[name]; given {
			return names
		}
	}
	return nil
}

// with returns the scope of something within that is given params of its own. Those of
// the outside are seen there too, as Pipelines propagates them into what is written
// out.
func (s *paramScope) with(p *rule.Pass, params []map[string]any) *paramScope {
	inner := &paramScope{s, map[string][]string{}}
	var r object.Reader
	for _, given := range params {
		var names []string
		for _, part := range rule.TextsIn(given["value"], "") {
			names = append(names, s.in(p, part.Value)...)
		}
		inner.own[r.Text(given, "name")] = names
	}
	return inner
}

// in returns the params of the TriggerTemplate that reach a text, by themselves or
// through the params of a run.
func (s *paramScope) in(p *rule.Pass, value string) []string {
	if !strings.Contains(value, "params") {
		return nil
	}
	names := templateParamsOf(value)
	for _, e := range expression.Named(value, "params", "inputs.params") {
		if e.Closed {
			names = append(names, s.of(nameOfParam(e))...)
		}
	}
	p.Step(1 + len(names))
	slices.Sort(names)
	return slices.Compact(names)
}

// nameOfParam is the name of the param of a task or pipeline that an expression is
// about.
func nameOfParam(e expression.Expression) string {
	parts, _ := e.Path()
	if len(parts) > 0 && parts[0] == "inputs" {
		parts = parts[1:]
	}
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// scopesIn returns the scope of each task that is written out in a resource, by its
// path, and "" for the resource itself.
func scopesIn(p *rule.Pass, fields map[string]any) map[string]*paramScope {
	var r object.Reader
	spec := r.Fields(fields, "spec")
	outer := (*paramScope)(nil).with(p, r.FieldsList(spec, "params"))
	scopes := map[string]*paramScope{"": outer, "spec.taskSpec": outer}
	eachPipelineTask(p, "spec.pipelineSpec", r.Fields(spec, "pipelineSpec"), outer,
		func(at string, _ map[string]any, inner *paramScope) {
			scopes[at+".taskSpec"] = inner
		})
	return scopes
}

// eachPipelineTask visits the tasks of a pipeline, and those of pipelines within it,
// each with the scope that its own params make of the outer one.
func eachPipelineTask(p *rule.Pass, at string, pipeline map[string]any, outer *paramScope,
	visit func(at string, task map[string]any, inner *paramScope)) {
	var r object.Reader
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(pipeline, list) {
			at := fmt.Sprintf("%s.%s[%d]", at, list, i)
			inner := outer.with(p, r.FieldsList(task, "params"))
			visit(at, task, inner)
			if nested := r.Fields(task, "pipelineSpec"); nested != nil {
				eachPipelineTask(p, at+".pipelineSpec", nested, inner, visit)
			}
		}
	}
}

// paramUse is the way in which a step or resource uses a text.
type paramUse int

const (
	useScript      paramUse = iota // a script, or the code that a shell is given as an argument
	useFlag                        // a whole argument, which the program may take for a flag
	useDestination                 // where Kaniko pushes to
	useIdentity                    // an image, a ServiceAccount, a namespace or a podTemplate
)

// paramPlace is a text of a resource that is used so.
type paramPlace struct {
	Path string
	Use  paramUse
	Name string // how to call it: `the script of step "build"`
	Text string
}

// paramFlow is a place into which a template puts params of its own.
type paramFlow struct {
	paramPlace
	Params []string
}

// flowsIn returns them for a resource of a template.
func flowsIn(p *rule.Pass, r templateResource) []paramFlow {
	var reader object.Reader
	scopes := scopesIn(p, r.Fields)
	flows := scopes[""].reach(p, identityPlaces(r.Fields))
	for _, task := range object.Tasks(r.Fields) {
		defaults := (*paramScope)(nil).withDefaults(p, reader.FieldsList(task.Spec, "params"))
		within := scopes[task.Path].before(defaults)
		flows = append(flows, within.reach(p, placesOf(task))...)
	}
	// Params of the run stay as they are written in the images of volumes.
	flows = append(flows, (*paramScope)(nil).reach(p, volumePlaces(r.Fields))...)
	for i := range flows {
		flows[i].Path = r.Path + "." + flows[i].Path
	}
	return flows
}

// flowsOfTemplates returns those of a certain use in the templates of an object.
func flowsOfTemplates(p *rule.Pass, want paramUse) []paramFlow {
	var found []paramFlow
	for _, t := range templatesIn(p) {
		found = append(found, t.flows(p, want)...)
	}
	return found
}

func (t paramTemplate) flows(p *rule.Pass, want paramUse) []paramFlow {
	if !t.walked {
		for _, r := range t.resources() {
			t.flowsThere = append(t.flowsThere, flowsIn(p, r)...)
		}
		t.walked = true
	}
	p.Step(1 + len(t.flowsThere))
	return slices.DeleteFunc(slices.Clone(t.flowsThere), func(f paramFlow) bool { return f.Use != want })
}

// boundFlow is a flow of a trigger's template, with a param that a binding puts into it.
type boundFlow struct {
	paramFlow
	Bound boundParam
}

// flows returns those of a certain use whose bound value is as wanted.
func (b boundTrigger) flows(p *rule.Pass, want paramUse, wanted func(value any) bool) []boundFlow {
	if b.Template == nil {
		return nil
	}
	var found []boundFlow
	for _, flow := range b.Template.flows(p, want) {
		p.Step(len(b.Bound))
		for _, bound := range b.Bound {
			if slices.Contains(flow.Params, bound.Name) && wanted(bound.Value) {
				found = append(found, boundFlow{flow, bound})
			}
		}
	}
	return found
}

// withDefaults adds what stands in the defaults of params.
func (s *paramScope) withDefaults(p *rule.Pass, params []map[string]any) *paramScope {
	given := make([]map[string]any, 0, len(params))
	for _, declared := range params {
		given = append(given, map[string]any{"name": declared["name"], "value": declared["default"]})
	}
	return s.with(p, given)
}

// before is a scope and, for what it does not give, another one.
func (s *paramScope) before(other *paramScope) *paramScope {
	if s == nil {
		return other
	}
	return &paramScope{s.outer.before(other), s.own}
}

func (s *paramScope) reach(p *rule.Pass, places []paramPlace) []paramFlow {
	var flows []paramFlow
	for _, place := range places {
		if params := s.in(p, place.Text); len(params) > 0 {
			flows = append(flows, paramFlow{place, params})
		}
	}
	return flows
}

// identityPlaces are those of the resource itself that decide what its Pods may do.
func identityPlaces(fields map[string]any) []paramPlace {
	var r object.Reader
	spec := r.Fields(fields, "spec")
	places := []paramPlace{{"metadata.namespace", useIdentity, "the namespace",
		r.Text(r.Fields(fields, "metadata"), "namespace")}}
	if !strings.HasPrefix(r.Text(fields, "apiVersion"), rule.TektonGroup+"/") {
		return places
	}
	places = append(places, runPlaces("spec", spec)...)
	places = append(places, runPlaces("spec.taskRunTemplate", r.Fields(spec, "taskRunTemplate"))...)
	for i, own := range r.FieldsList(spec, "taskRunSpecs") {
		places = append(places, runPlaces(fmt.Sprintf("spec.taskRunSpecs[%d]", i), own)...)
	}
	return places
}

func runPlaces(at string, fields map[string]any) []paramPlace {
	var places []paramPlace
	for _, key := range []string{"serviceAccountName", "taskServiceAccountName"} {
		name, _ := fields[key].(string)
		places = append(places, paramPlace{at + "." + key, useIdentity, "the ServiceAccount", name})
	}
	for _, key := range []string{"podTemplate", "taskPodTemplate"} {
		for _, t := range rule.TextsIn(fields[key], at+"."+key) {
			if !object.InImageVolume(t.Path) {
				places = append(places, paramPlace{t.Path, useIdentity, "the podTemplate", t.Value})
			}
		}
	}
	return places
}

// placesOf returns the places of a task's steps and sidecars.
func placesOf(task object.Task) []paramPlace {
	var r object.Reader
	var places []paramPlace
	for _, image := range task.Images() {
		if !image.Literal {
			places = append(places, paramPlace{image.Path, useIdentity, "the image of a step", image.Value})
		}
	}
	steps, _ := task.Steps()
	for _, step := range steps {
		places = append(places, placesOfStep(step.Path, step.Fields, "step "+strconv.Quote(step.Name()))...)
	}
	for i, sidecar := range r.FieldsList(task.Spec, "sidecars") {
		at := fmt.Sprintf("%s.sidecars[%d]", task.Path, i)
		places = append(places, placesOfStep(at, sidecar, "sidecar "+strconv.Quote(r.Text(sidecar, "name")))...)
	}
	return places
}

// volumePlaces returns the images of volumes in a resource.
func volumePlaces(fields map[string]any) []paramPlace {
	images := object.PodTemplateImages(fields)
	for _, task := range object.Tasks(fields) {
		images = append(images, task.Images()...)
	}
	var places []paramPlace
	for _, image := range images {
		if image.Literal {
			places = append(places, paramPlace{image.Path, useIdentity, "the image of a volume", image.Value})
		}
	}
	return places
}

func placesOfStep(at string, fields map[string]any, name string) []paramPlace {
	var r object.Reader
	places := []paramPlace{{at + ".script", useScript, "the script of " + name, r.Text(fields, "script")}}
	words := wordsOf(at, fields)
	code, shell := codeAmong(words)
	switch {
	case r.Text(fields, "script") != "" || len(words) == 0: // arguments of a script are only its own
	case shell:
		places = append(places,
			paramPlace{words[code].Path, useScript, "the shell command of " + name, words[code].Value})
	case runsKaniko(fields, words):
		places = append(places, destinationPlaces(words, name)...)
		places = append(places, flagPlaces(words, "Kaniko's arguments in "+name)...)
	case path.Base(words[0].Value) == "git":
		places = append(places, flagPlaces(words[1:], "git's arguments in "+name)...)
	}
	return places
}

// wordsOf returns the command and the arguments of a step as one list.
func wordsOf(at string, fields map[string]any) []rule.Text {
	var r object.Reader
	var words []rule.Text
	for _, list := range []string{"command", "args"} {
		for i, word := range r.TextList(fields, list) {
			words = append(words, rule.Text{Path: fmt.Sprintf("%s.%s[%d]", at, list, i), Value: word})
		}
	}
	return words
}

var (
	shellPrograms       = []string{"sh", "bash", "ash", "dash", "zsh", "ksh", "busybox"}
	shellFlag           = lazyregexp.New(`^-[a-zA-Z]*c[a-zA-Z]*$`)
	interpreterPrograms = []string{"python", "python2", "python3", "perl", "ruby", "node", "pwsh", "powershell",
		"cmd", "cmd.exe"}
	codeFlag = lazyregexp.New(`^(?:-[ceE]|--eval|-[cC]ommand|/[cC])$`)
)

// codeAmong returns which of the words is code for a shell or an interpreter. What comes
// after it are arguments of that code, and harmless.
func codeAmong(words []rule.Text) (int, bool) {
	if len(words) > 1 && path.Base(words[0].Value) == "env" {
		at, is := codeAmong(words[1:])
		return at + 1, is
	}
	if len(words) == 0 {
		return 0, false
	}
	program, flag := path.Base(words[0].Value), codeFlag
	switch {
	case slices.Contains(shellPrograms, program):
		flag = shellFlag
	case !slices.Contains(interpreterPrograms, program):
		return 0, false
	}
	for i := 1; i+1 < len(words); i++ {
		if flag.MatchString(words[i].Value) {
			return i + 1, true
		}
	}
	return 0, false
}

func runsKaniko(fields map[string]any, words []rule.Text) bool {
	image, _ := fields["image"].(string)
	return strings.Contains(image, "kaniko") || strings.HasPrefix(words[0].Value, "/kaniko/")
}

// destinationPlaces are the values of --destination, in each of the forms that Kaniko takes.
func destinationPlaces(words []rule.Text, name string) []paramPlace {
	var places []paramPlace
	for i, word := range words {
		flag, value, joined := strings.Cut(word.Value, "=")
		if flag != "--destination" && flag != "-d" {
			continue
		}
		if !joined && i+1 < len(words) {
			word = words[i+1]
			value = word.Value
		}
		places = append(places, paramPlace{word.Path, useDestination, "Kaniko's destination in " + name, value})
	}
	return places
}

// flagPlaces are the words that a program takes for a flag, if what is put in begins
// with a dash: those that begin with an expression, do not follow a flag that takes
// them, and stand before any --.
func flagPlaces(words []rule.Text, name string) []paramPlace {
	var places []paramPlace
	for i, word := range words {
		if word.Value == "--" {
			return places
		}
		follows := i > 0 && strings.HasPrefix(words[i-1].Value, "-") && !strings.Contains(words[i-1].Value, "=")
		if strings.HasPrefix(word.Value, "$(") && !follows {
			first, _, _ := strings.Cut(word.Value, ")")
			places = append(places, paramPlace{word.Path, useFlag, name, first + ")"})
		}
	}
	return places
}
