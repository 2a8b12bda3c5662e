package migrate

import (
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// name is what finds an object: its kind, namespace and name.
type name struct{ kind, namespace, name string }

// declared is a PipelineResource as a Task or a Pipeline declares it.
type declared struct {
	name, kind string // kind is its type: git, image, …
	target     string // targetPath
	optional   bool
	comment    string // what the author wrote beside it
}

// path returns where Tekton put an input or an output, see resource_paths.go of Pipelines
// v0.38.
func (d declared) path(output bool) string {
	root := "/workspace"
	switch {
	case path.IsAbs(d.target):
		return path.Clean(d.target)
	case d.target != "":
		return path.Join(root, d.target)
	case output:
		return path.Join(root, "output", d.name)
	}
	return path.Join(root, d.name)
}

// task is what callers have to know of a Task.
type task struct {
	inputs, outputs []declared
	passes          bool // whether it was a Condition: it has the result that says so
}

// resource is a PipelineResource, or a resourceSpec.
type resource struct {
	name, kind string
	params     map[string]string // by the field, as fields spells it
	unknown    []string          // params that no type has
	secrets    []secret
}

// secret is a key of a Secret that a resource takes a value from.
type secret struct{ secret, key string }

// world is what all files together hold.
type world struct {
	files      map[string]*world // what each file holds, which comes first for objects of that file
	tasks      map[name]task
	resources  map[name]resource
	conditions map[name]bool
	wanted     map[name]bool              // PipelineResources that a run names which was not converted
	used       map[name]bool              // PipelineResources that a run names
	extra      map[string]map[string]bool // fields of a type that are used beside the usual ones
	handed     map[name]map[string]bool   // inputs of Tasks that a Pipeline takes from another task
	pipelines  map[name]pipeline
	checks     map[name]task   // what Conditions ask for
	accounts   map[name]string // the ServiceAccount that a Pipeline's runs have, "?" if several
}

func newWorld() *world {
	return &world{
		files:      map[string]*world{},
		tasks:      map[name]task{},
		resources:  map[name]resource{},
		conditions: map[name]bool{},
		wanted:     map[name]bool{},
		used:       map[name]bool{},
		extra:      map[string]map[string]bool{},
		handed:     map[name]map[string]bool{},
		pipelines:  map[name]pipeline{},
		checks:     map[name]task{},
		accounts:   map[name]string{},
	}
}

// find looks for an object. Without a namespace, one of any namespace is meant.
func find[T any](all map[name]T, kind, namespace, called string) (T, name, bool) {
	for _, key := range []name{{kind, namespace, called}, {kind, "", called}} {
		if found, ok := all[key]; ok {
			return found, key, true
		}
	}
	var none T
	if namespace != "" {
		return none, name{}, false
	}
	var keys []name
	for key := range all {
		if key.kind == kind && key.name == called {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return none, name{}, false
	}
	key := slices.MinFunc(keys, func(a, b name) int { return strings.Compare(a.namespace, b.namespace) })
	return all[key], key, true
}

// lookup looks for what an object refers to, in its own file first: a folder of examples has
// many Tasks of one name.
func lookup[T any](c *converter, of func(*world) map[name]T, kind, namespace, called string) (T, name, bool) {
	if near := c.world.files[c.file]; near != nil {
		if found, key, ok := find(of(near), kind, namespace, called); ok {
			return found, key, true
		}
	}
	return find(of(c.world), kind, namespace, called)
}

func tasksOf(w *world) map[name]task         { return w.tasks }
func resourcesOf(w *world) map[name]resource { return w.resources }
func conditionsOf(w *world) map[name]bool    { return w.conditions }
func checksOf(w *world) map[name]task        { return w.checks }
func pipelinesOf(w *world) map[name]pipeline { return w.pipelines }

// learn reads an object and those in it.
func (w *world) learn(o map[string]any) {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	meta := fieldsAt(o, "metadata")
	key := name{kind, stringAt(meta, "namespace"), stringAt(meta, "name")}
	spec := fieldsAt(o, "spec")
	if strings.HasPrefix(version, "triggers.tekton.dev/") {
		w.learnTriggers(kind, spec)
		return
	}
	if !strings.HasPrefix(version, "tekton.dev/") {
		return
	}
	switch kind {
	case "Task", "ClusterTask":
		if kind == "ClusterTask" {
			key.namespace = ""
		}
		w.tasks[key] = w.learnTask(spec)
		if version == "tekton.dev/v1" {
			w.tasks[key] = convertedTask(spec)
		}
	case "Condition":
		w.conditions[key] = true
		w.checks[key] = task{inputs: declaredAt(spec, "resources")}
		w.mentions(spec, declaredAt(spec, "resources"))
	case "PipelineResource":
		w.resources[key] = w.resourceFrom(key.name, spec)
		w.learnFields(w.resources[key])
	case "Pipeline":
		w.learnPipeline(key.namespace, spec)
		w.pipelines[key] = pipelineFrom(spec)
	case "PipelineRun":
		w.learnPipeline(key.namespace, fieldsAt(spec, "pipelineSpec"))
		for _, binding := range mapsAt(spec, "resources") {
			w.learnBinding(binding)
		}
		w.learnAccount(name{"Pipeline", key.namespace, stringAt(fieldsAt(spec, "pipelineRef"), "name")},
			stringAt(spec, "serviceAccountName"))
	case "TaskRun":
		w.learnTask(fieldsAt(spec, "taskSpec"))
		for _, side := range [][2]string{{"resources", "inputs"}, {"resources", "outputs"}, {"inputs", "resources"},
			{"outputs", "resources"}} {
			for _, binding := range mapsAt(fieldsAt(spec, side[0]), side[1]) {
				w.learnBinding(binding)
			}
		}
	}
}

func (w *world) learnTriggers(kind string, spec map[string]any) {
	if kind == "Trigger" {
		spec = fieldsAt(fieldsAt(spec, "template"), "spec")
	}
	templates := mapsAt(spec, "resourcetemplates")
	for _, trigger := range mapsAt(spec, "triggers") {
		templates = append(templates, mapsAt(fieldsAt(fieldsAt(trigger, "template"), "spec"), "resourcetemplates")...)
	}
	for _, one := range templates {
		w.learn(one)
	}
}

func (w *world) learnAccount(pipeline name, account string) {
	if pipeline.name == "" {
		return
	}
	if before, known := w.accounts[pipeline]; known && before != account {
		account = "?"
	}
	w.accounts[pipeline] = account
}

func (w *world) learnPipeline(namespace string, spec map[string]any) {
	for _, list := range []string{"tasks", "finally"} {
		for _, one := range mapsAt(spec, list) {
			w.learnTask(fieldsAt(one, "taskSpec"))
			for _, in := range mapsAt(fieldsAt(one, "resources"), "inputs") {
				if from, _ := in["from"].([]any); len(from) > 0 {
					w.learnHanded(namespace, fieldsAt(one, "taskRef"), stringAt(in, "name"))
				}
			}
		}
	}
}

// learnHanded notes that an input of a Task comes from another task.
func (w *world) learnHanded(namespace string, ref map[string]any, input string) {
	key := name{"Task", namespace, stringAt(ref, "name")}
	if stringAt(ref, "kind") == "ClusterTask" {
		key = name{"ClusterTask", "", key.name}
	}
	if w.handed[key] == nil {
		w.handed[key] = map[string]bool{}
	}
	w.handed[key][input] = true
}

// pipelineFrom returns what runs have to know of a Pipeline.
func pipelineFrom(spec map[string]any) pipeline {
	p := pipeline{produced: map[string]bool{}}
	kinds := map[string]string{}
	for _, space := range mapsAt(spec, "workspaces") { // of a Pipeline that is converted already
		p.produced[stringAt(space, "name")] = true
	}
	for _, d := range declaredAt(spec, "resources") {
		kinds[d.name] = d.kind
	}
	for _, list := range []string{"tasks", "finally"} {
		for _, one := range mapsAt(spec, list) {
			bound := fieldsAt(one, "resources")
			for _, out := range mapsAt(bound, "outputs") {
				p.produced[stringAt(out, "resource")] = kinds[stringAt(out, "resource")] == "git"
			}
			for _, in := range mapsAt(bound, "inputs") {
				if from, _ := in["from"].([]any); len(from) > 0 && kinds[stringAt(in, "resource")] == "git" {
					p.produced[stringAt(in, "resource")] = true
				}
			}
		}
	}
	return p
}

func (w *world) learnTask(spec map[string]any) task {
	t := task{inputs: declaredAt(fieldsAt(spec, "resources"), "inputs"),
		outputs: declaredAt(fieldsAt(spec, "resources"), "outputs")}
	t.inputs = append(t.inputs, declaredAt(fieldsAt(spec, "inputs"), "resources")...)
	t.outputs = append(t.outputs, declaredAt(fieldsAt(spec, "outputs"), "resources")...)
	w.mentions(spec, slices.Concat(t.inputs, t.outputs))
	return t
}

// convertedTask returns what a Task of v1 has in the place of PipelineResources, so that a
// Pipeline that was left the first time is converted as it would have been then.
func convertedTask(spec map[string]any) task {
	var t task
	params, spaces := map[string]bool{}, map[string]bool{}
	for _, param := range mapsAt(spec, "params") {
		params[stringAt(param, "name")] = true
	}
	for _, space := range mapsAt(spec, "workspaces") {
		spaces[stringAt(space, "name")] = true
		if stringAt(space, "mountPath") == (declared{name: stringAt(space, "name")}).path(false) {
			t.inputs = append(t.inputs, declared{name: stringAt(space, "name"), kind: "cluster"})
		}
	}
	for _, param := range mapsAt(spec, "params") {
		called, url := strings.CutSuffix(stringAt(param, "name"), "-url")
		stored, location := strings.CutSuffix(stringAt(param, "name"), "-location")
		switch {
		case location:
			t.inputs = append(t.inputs, declared{name: stored, kind: "storage"})
			t.outputs = append(t.outputs, declared{name: stored, kind: "storage"})
		case url && params[called+"-revision"]:
			t.inputs = append(t.inputs, declared{name: called, kind: "git"})
			if spaces[outputSpace(called)] {
				t.outputs = append(t.outputs, declared{name: called, kind: "git"})
			}
		case url:
			t.inputs = append(t.inputs, declared{name: called, kind: "image"})
			t.outputs = append(t.outputs, declared{name: called, kind: "image"})
		}
	}
	for _, result := range mapsAt(spec, "results") {
		t.passes = t.passes || stringAt(result, "name") == passedResult
	}
	return t
}

// mentioned finds the fields of PipelineResources that a text names.
var mentioned = lazyregexp.New(
	`\$\((?:resources\.(?:inputs\.|outputs\.)?|(?:inputs|outputs)\.resources\.)([^.()\s]+)\.([A-Za-z-]+)\)`)

// mentions notes which fields of the declared resources the texts of a Task use.
func (w *world) mentions(value any, of []declared) {
	switch value := value.(type) {
	case string:
		for _, found := range mentioned.FindAllStringSubmatch(value, -1) {
			for _, d := range of {
				if d.name == found[1] {
					w.needs(d.kind, found[2])
				}
			}
		}
	case []any:
		for _, one := range value {
			w.mentions(one, of)
		}
	case map[string]any:
		for _, one := range value {
			w.mentions(one, of)
		}
	}
}

func (w *world) needs(kind, field string) {
	if w.extra[kind] == nil {
		w.extra[kind] = map[string]bool{}
	}
	w.extra[kind][field] = true
}

func (w *world) learnBinding(binding map[string]any) {
	if spec := fieldsAt(binding, "resourceSpec"); spec != nil {
		w.learnFields(w.resourceFrom("", spec))
	}
}

// learnFields notes which fields a resource sets.
func (w *world) learnFields(r resource) {
	for called := range r.params {
		if types[r.kind].passed {
			w.needs(r.kind, called)
		}
	}
}

// resourceFrom reads the spec of a PipelineResource.
func (w *world) resourceFrom(called string, spec map[string]any) resource {
	r := resource{name: called, kind: stringAt(spec, "type"), params: map[string]string{}}
	for _, param := range mapsAt(spec, "params") {
		field, ok := fieldOf(r.kind, stringAt(param, "name"))
		if !ok {
			r.unknown = append(r.unknown, stringAt(param, "name"))
			continue
		}
		r.params[field] = stringAt(param, "value")
	}
	for _, one := range mapsAt(spec, "secrets") {
		r.secrets = append(r.secrets, secret{stringAt(one, "secretName"), stringAt(one, "secretKey")})
	}
	return r
}

func declaredAt(holder map[string]any, key string) []declared {
	var all []declared
	for _, one := range mapsAt(holder, key) {
		optional, _ := one["optional"].(bool)
		all = append(all, declared{name: stringAt(one, "name"), kind: stringAt(one, "type"),
			target: stringAt(one, "targetPath"), optional: optional})
	}
	return all
}

func fieldsAt(holder map[string]any, key string) map[string]any {
	fields, _ := holder[key].(map[string]any)
	return fields
}

func stringAt(holder map[string]any, key string) string {
	value, _ := holder[key].(string)
	return value
}

func mapsAt(holder map[string]any, key string) []map[string]any {
	list, _ := holder[key].([]any)
	var all []map[string]any
	for _, one := range list {
		if fields, ok := one.(map[string]any); ok {
			all = append(all, fields)
		}
	}
	return all
}

// learnDocuments reads all objects of documents.
func (w *world) learnDocuments(documents []*document.Document) {
	for _, d := range documents {
		objects, err := d.Objects()
		if err != nil {
			continue
		}
		near := w.files[d.File]
		if near == nil {
			near = newWorld()
			w.files[d.File] = near
		}
		for _, o := range objects {
			w.learn(o.Fields)
			near.learn(o.Fields)
		}
	}
}
