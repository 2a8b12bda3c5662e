package pipelines

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// scope is what a specification may refer to. In a run, and in a Pipeline's
// taskSpec, that is more than it declares: Tekton propagates parameters and
// workspaces to what is written out (docs/pipelineruns.md, "Propagated Parameters").
//
// What is around it is linked and not copied: a pipeline of many tasks with many
// parameters would be copied as often. A nil scope is empty.
type scope struct {
	outer      *scope
	params     map[string][]map[string]any // declarations and given values, by name
	workspaces map[string]bool
}

// with is a scope and what some fields declare or give.
func (s *scope) with(fields map[string]any) *scope {
	var r object.Reader
	wider := &scope{s, map[string][]map[string]any{}, map[string]bool{}}
	for _, item := range itemsIn(fields, "", "params") {
		wider.params[item.Name] = append(wider.params[item.Name], item.Fields)
	}
	for _, item := range matrixParams(fields) {
		wider.params[item.Name] = append(wider.params[item.Name], nil)
	}
	for _, workspace := range r.FieldsList(fields, "workspaces") {
		wider.workspaces[r.Text(workspace, "name")] = true
	}
	return wider
}

// param returns what is known of a parameter, from the outside in, and whether there is
// one of that name.
func (s *scope) param(name string) (known []map[string]any, declared bool) {
	if s == nil {
		return nil, false
	}
	known, declared = s.outer.param(name)
	own, is := s.params[name]
	return append(known, own...), declared || is
}

// has tells whether there is a workspace of that name.
func (s *scope) has(workspace string) bool {
	return s != nil && (s.workspaces[workspace] || s.outer.has(workspace))
}

// paramNames returns the names of all parameters, for suggestions.
func (s *scope) paramNames() []string {
	names := map[string]bool{}
	for ; s != nil; s = s.outer {
		for name := range s.params {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// workspaceNames returns the names of all workspaces, for suggestions.
func (s *scope) workspaceNames() []string {
	names := map[string]bool{}
	for ; s != nil; s = s.outer {
		maps.Copy(names, s.workspaces)
	}
	return slices.Sorted(maps.Keys(names))
}

// namedItem is an item of a list of things that have names.
type namedItem struct {
	Path   string
	Name   string
	Fields map[string]any
}

// itemsIn returns those of a list that are objects with a name. Of params it also
// returns those of v1alpha1, which stood in inputs.
func itemsIn(fields map[string]any, path, key string) []namedItem {
	var r object.Reader
	var found []namedItem
	add := func(in map[string]any, at string) {
		items := r.FieldsList(in, key)
		if len(items) == 0 {
			return
		}
		prefix := rule.Join(at, key) + "["
		for i, item := range items {
			if name := r.Text(item, "name"); name != "" {
				found = append(found, namedItem{prefix + strconv.Itoa(i) + "]", name, item})
			}
		}
	}
	add(fields, path)
	if key == "params" {
		add(r.Fields(fields, "inputs"), rule.Join(path, "inputs"))
	}
	return found
}

// matrixParams returns the params of a task's matrix, those of include too.
func matrixParams(fields map[string]any) []namedItem {
	var r object.Reader
	matrix := r.Fields(fields, "matrix")
	found := itemsIn(matrix, "matrix", "params")
	for _, include := range r.FieldsList(matrix, "include") {
		found = append(found, itemsIn(include, "matrix.include", "params")...)
	}
	return found
}

// specification is a specification that is written out.
type specification struct {
	Path   string // such as "spec.taskSpec"
	Kind   string // Task, StepAction or Pipeline
	Fields map[string]any
	Scope  *scope         // all that it may refer to
	Outer  *scope         // that of it which it does not declare itself
	Run    map[string]any // the specification of the run in which it stands, nil elsewhere

	used *[]usage // all usages, once they were looked for; nil where they are not kept
}

// specificationsIn returns every specification in an object, those of custom tasks left
// out.
func specificationsIn(p *rule.Pass) []specification {
	return rule.Once(p, "specificationsIn", func() []specification {
		found := walkSpecifications(p)
		for i := range found {
			found[i].used = new([]usage)
		}
		return found
	})
}

func walkSpecifications(p *rule.Pass) []specification {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "Task", "ClusterTask":
		return withInner(specification{Path: "spec", Kind: "Task", Fields: spec})
	case "StepAction", "Pipeline":
		return withInner(specification{Path: "spec", Kind: p.Kind.Kind, Fields: spec})
	case "TaskRun":
		return withInner(specification{
			Path: "spec.taskSpec", Kind: "Task", Fields: r.Fields(spec, "taskSpec"), Outer: (*scope)(nil).with(spec),
			Run: spec,
		})
	case "PipelineRun":
		return withInner(specification{
			Path: "spec.pipelineSpec", Kind: "Pipeline", Fields: r.Fields(spec, "pipelineSpec"),
			Outer: (*scope)(nil).with(spec), Run: spec,
		})
	}
	return nil
}

func withInner(spec specification) []specification {
	if spec.Fields == nil {
		return nil
	}
	var r object.Reader
	spec.Scope = spec.Outer.with(spec.Fields)
	found := []specification{spec}
	if spec.Kind != "Pipeline" {
		return found
	}
	for _, task := range spec.tasks() {
		if task.Custom {
			continue
		}
		for _, kind := range []string{"Task", "Pipeline"} {
			key := strings.ToLower(kind) + "Spec"
			found = append(found, withInner(specification{
				Path: task.Path + "." + key, Kind: kind, Fields: r.Fields(task.Fields, key),
				Outer: spec.Scope.with(task.Fields), Run: spec.Run,
			})...)
		}
	}
	return found
}

// pipelineTask is a task of a pipeline.
type pipelineTask struct {
	namedItem
	Final  bool
	Custom bool // whether other programs than Tekton's run it
}

// tasks returns the tasks of a pipeline, then the finally tasks; also those without
// a name.
func (s specification) tasks() []pipelineTask {
	var r object.Reader
	var found []pipelineTask
	if s.Kind != "Pipeline" {
		return nil
	}
	for _, list := range []string{"tasks", "finally"} {
		for i, fields := range r.FieldsList(s.Fields, list) {
			item := namedItem{fmt.Sprintf("%s.%s[%d]", s.Path, list, i), r.Text(fields, "name"), fields}
			custom := isCustom(r.Fields(fields, "taskRef")) || isCustom(r.Fields(fields, "taskSpec"))
			found = append(found, pipelineTask{item, list == "finally", custom})
		}
	}
	return found
}

// unit is how messages call a task.
func (t pipelineTask) unit() string { return fmt.Sprintf("task %q", t.Name) }

// isCustom tells whether a taskRef or taskSpec is a custom task's.
func isCustom(fields map[string]any) bool {
	var r object.Reader
	version, kind := r.Text(fields, "apiVersion"), r.Text(fields, "kind")
	return version != "" && !strings.HasPrefix(version, rule.TektonGroup+"/") ||
		!slices.Contains([]string{"", "Task", "ClusterTask"}, kind)
}

// callSite is a place that makes use of a Task, Pipeline or StepAction: a run, a
// task of a pipeline, or a step. It gives params and workspaces.
type callSite struct {
	Path   string // where params stands: "spec" of a run
	Ref    string // where it is named, such as "spec.taskRef"
	Unit   string // how to call it: `task "build"`, "this TaskRun"
	Fields map[string]any

	Kind   string         // Task, Pipeline or StepAction
	Name   string         // of the object, "" where it is written out
	Source string         // where the object was fetched from, "" for one of the namespace
	Target map[string]any // the specification, nil where it is not known
	Outer  *scope         // what propagates to one that is written out
}

// target is how messages call what is called.
func (c callSite) target() string {
	if c.Name == "" {
		return "its specification"
	}
	if c.Source != "" {
		return fmt.Sprintf("%s %q (%s)", c.Kind, c.Name, c.Source)
	}
	return fmt.Sprintf("%s %q", c.Kind, c.Name)
}

// fetched completes the call of what a resolver brings, if that was resolved.
func (c callSite) fetched(p *rule.Pass, ref string) (callSite, bool) {
	var r object.Reader
	found, ok := p.ResolvedAt(ref)
	spec := r.Fields(found.Fields, "spec")
	if !ok || spec == nil {
		return c, false
	}
	c.Ref, c.Target, c.Source = ref, spec, found.Source
	c.Name = cmp.Or(rule.NameOf(found.Fields), "without a name")
	return c, true
}

// callsIn returns the calls of local objects by name, whose Target is not yet
// known, and of specifications that are written out. TaskRuns of a PipelineRun have
// none: its controller has looked already.
func callsIn(p *rule.Pass) []callSite {
	return rule.Once(p, "callsIn", func() []callSite { return walkCalls(p) })
}

func walkCalls(p *rule.Pass) []callSite {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	var calls []callSite
	if slices.ContainsFunc(rule.Runs, func(k schema.GroupVersionKind) bool { return k == p.Kind }) {
		if p.OfPipelineRun() {
			return nil
		}
		kind := strings.TrimSuffix(p.Kind.Kind, "Run")
		calls = append(calls,
			callSite{Path: "spec", Unit: "this " + p.Kind.Kind, Fields: spec, Kind: kind}.ways(p, nil)...)
	}
	for _, s := range specificationsIn(p) {
		for _, task := range s.tasks() {
			if task.Custom {
				continue
			}
			call := callSite{Path: task.Path, Unit: task.unit(), Fields: task.Fields}
			if isOfPipelinesAsCode(p) { // which writes out what is named, so that the run propagates to it
				call.Outer = s.Scope
			}
			call.Kind = "Task"
			calls = append(calls, call.ways(p, s.Scope)...)
			call.Kind = "Pipeline"
			calls = append(calls, call.ways(p, s.Scope)...)
		}
		calls = append(calls, s.stepCalls(p)...)
	}
	if expression.Any(p.Namespace) { // the objects to which names lead are only known at run time
		calls = slices.DeleteFunc(calls, func(c callSite) bool { return c.Name != "" && c.Source == "" })
	}
	return calls
}

// isOfPipelinesAsCode reports whether Pipelines-as-Code creates the run of an object.
func isOfPipelinesAsCode(p *rule.Pass) bool {
	var r object.Reader
	for key := range r.Fields(r.Fields(p.Object, "metadata"), "annotations") {
		if strings.HasPrefix(key, "pipelinesascode.tekton.dev/") {
			return true
		}
	}
	return false
}

// ways returns the reference and the specification of a call, of which there should
// be one.
func (c callSite) ways(p *rule.Pass, outer *scope) []callSite {
	var r object.Reader
	var found []callSite
	field := strings.ToLower(c.Kind)
	if call, ok := c.fetched(p, c.Path+"."+field+"Ref"); ok {
		found = append(found, call)
	} else if name, local := localName(r.Fields(c.Fields, field+"Ref"), c.Kind); local {
		c.Ref, c.Name = c.Path+"."+field+"Ref.name", name
		found = append(found, c)
	}
	if spec := r.Fields(c.Fields, field+"Spec"); spec != nil {
		c.Ref, c.Name, c.Target, c.Outer = c.Path+"."+field+"Spec", "", spec, outer
		found = append(found, c)
	}
	return found
}

func (s specification) stepCalls(p *rule.Pass) []callSite {
	var r object.Reader
	var found []callSite
	if s.Kind != "Task" {
		return nil
	}
	for i, step := range r.FieldsList(s.Fields, "steps") {
		name, local := localName(r.Fields(step, "ref"), "StepAction")
		path := fmt.Sprintf("%s.steps[%d]", s.Path, i)
		unit := fmt.Sprintf("step %d", i)
		if own := r.Text(step, "name"); own != "" {
			unit = fmt.Sprintf("step %q", own)
		}
		call := callSite{Path: path, Ref: path + ".ref.name", Unit: unit, Fields: step, Kind: "StepAction", Name: name}
		if !local {
			if call, local = call.fetched(p, path+".ref"); !local {
				continue
			}
		}
		found = append(found, call)
	}
	return found
}

// localName returns the name of an object in the same namespace to which a reference
// leads. It reports false for what a resolver or a bundle brings, for a custom task,
// and for a name that is only known at run time.
func localName(ref map[string]any, kind string) (string, bool) {
	var r object.Reader
	name, own, version := r.Text(ref, "name"), r.Text(ref, "kind"), r.Text(ref, "apiVersion")
	local := name != "" && r.Text(ref, "resolver") == "" && r.Text(ref, "bundle") == "" &&
		(own == "" || own == kind) && (version == "" || strings.HasPrefix(version, rule.TektonGroup+"/")) &&
		!expression.Any(name) && !strings.Contains(name, "://")
	return name, local
}

// resolvedCalls returns the calls whose specification is known. What cannot be looked
// up is passed over: missing-definition tells of it.
func resolvedCalls(ctx context.Context, p *rule.Pass) []callSite {
	return rule.Once(p, "resolvedCalls", func() []callSite { return walkResolvedCalls(ctx, p) })
}

func walkResolvedCalls(ctx context.Context, p *rule.Pass) []callSite {
	var r object.Reader
	var found []callSite
	for _, call := range callsIn(p) {
		if call.Name != "" && call.Source == "" {
			there, err := p.Cluster.Get(ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: call.Kind}, p.Namespace,
				call.Name)
			if err != nil {
				continue
			}
			call.Target = r.Fields(there, "spec")
		}
		if call.Target != nil {
			found = append(found, call)
		}
	}
	return found
}

// given returns the names of the params that a call gives, those of its matrix too.
func (c callSite) given() map[string]bool {
	names := map[string]bool{}
	for _, item := range slices.Concat(itemsIn(c.Fields, c.Path, "params"), matrixParams(c.Fields)) {
		names[item.Name] = true
	}
	return names
}

// usage is an expression in a text, taken apart.
type usage struct {
	Path  string          // of the text
	Text  string          // of the expression
	Parts expression.Path // params, image; "inputs" before params is left out
	// Bindings are the workspaces of the pipeline's task in which it stands, if it is in
	// one. They are of all usages in the task.
	Bindings *names
}

// bound tells whether the task in which an expression stands binds a workspace.
func (u usage) bound(workspace string) bool { return u.Bindings != nil && u.Bindings.has(workspace) }

// usagesIn returns the expressions in some fields that have one of some roots, without
// texts for readers alone, without the images of volumes, in which nothing is filled in (see
// the rule image-malformed), and without the fields that skip names. A here-document may
// hold another object's expressions, which must stay as they are; lenient skips it too.
func usagesIn(fields map[string]any, path string, lenient bool, skip []string, roots ...string) []usage {
	var found []usage
	for _, key := range rule.SortedKeys(fields) {
		if slices.Contains(skip, key) {
			continue
		}
		for _, t := range rule.ExpressionsIn(fields[key], rule.Join(path, key)) {
			if isForReaders(t.Path) || object.InImageVolume(t.Path) || lenient && strings.Contains(t.Value, "<<") {
				continue
			}
			for _, e := range expression.Find(t.Value) {
				if root := e.Root(); root == "" || root != "inputs" && !isOneOf(roots, root) {
					continue
				}
				parts, ok := e.Path()
				if ok && len(parts) > 1 && parts[0] == "inputs" && parts[1] == "params" {
					parts = parts[1:]
				}
				if ok && len(parts) > 1 && isOneOf(roots, parts[0]) {
					found = append(found, usage{Path: t.Path, Text: e.Text, Parts: parts})
				}
			}
		}
	}
	return found
}

// isOneOf tells whether a root is one of those that are looked for. None at all means each.
func isOneOf(roots []string, root string) bool {
	return len(roots) == 0 || slices.Contains(roots, root)
}

// isForReaders tells whether nothing depends on a text: descriptions, display names, and
// what the combinations of a matrix are called.
func isForReaders(path string) bool {
	return strings.HasSuffix(path, ".description") || strings.HasSuffix(path, ".displayName") ||
		strings.Contains(path, ".matrix.include[") && strings.HasSuffix(path, "].name")
}

// uses returns the expressions of a specification itself, not those of specifications
// within it, nor those of custom tasks.
func (s specification) uses(roots ...string) []usage {
	if s.used == nil {
		return s.usesOf(roots...)
	}
	if *s.used == nil {
		*s.used = append([]usage{}, s.usesOf()...)
	}
	var found []usage
	for _, use := range *s.used {
		if slices.Contains(roots, use.Parts[0]) {
			found = append(found, use)
		}
	}
	return found
}

// usesOf is uses, without remembering anything. No roots at all means each.
func (s specification) usesOf(roots ...string) []usage {
	lenient := s.Run != nil
	if s.Kind != "Pipeline" {
		return usagesIn(s.Fields, s.Path, lenient, nil, roots...)
	}
	found := usagesIn(s.Fields, s.Path, lenient, []string{"tasks", "finally"}, roots...)
	for _, task := range s.tasks() {
		uses := usagesIn(task.Fields, task.Path, lenient, []string{"taskSpec", "pipelineSpec"}, roots...)
		if len(uses) == 0 {
			continue
		}
		bindings := namesOf(task.Fields, "workspaces")
		for _, use := range uses {
			use.Bindings = bindings
			found = append(found, use)
		}
	}
	return found
}

// declaredType is the type of a declared param: what it says, or what its properties
// and its default tell.
func declaredType(declaration map[string]any) string {
	var r object.Reader
	if named := r.Text(declaration, "type"); named != "" {
		return named
	}
	if declaration["properties"] != nil {
		return "object"
	}
	if kind := valueType(declaration["default"]); kind != "" {
		return kind
	}
	return "string"
}

// valueType is the type of a param's value, "" for none.
func valueType(value any) string {
	switch value.(type) {
	case nil:
		return ""
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "string"
}

// remedyFor names what was most likely meant, and another remedy in case that is wrong.
// The known names are only asked for where a suggestion is to be made.
func remedyFor(p *rule.Pass, name string, known func() []string, otherwise string) string {
	if best := p.Closest(name, known); best != "" {
		return fmt.Sprintf("did you mean %q? If not, %s", best, otherwise)
	}
	return otherwise
}

// names are names in their order, which are looked up often.
type names struct {
	list []string
	set  map[string]bool
}

func (n *names) add(name string) {
	if n.set == nil {
		n.set = map[string]bool{}
	}
	n.list, n.set[name] = append(n.list, name), true
}

func (n *names) has(name string) bool { return n.set[name] }

func (n *names) all() []string { return n.list }

// namesOf returns the names in a list.
func namesOf(fields map[string]any, key string) *names {
	found := &names{}
	for _, item := range itemsIn(fields, "", key) {
		found.add(item.Name)
	}
	return found
}
