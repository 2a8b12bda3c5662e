package validator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
)

// graphScope is what a specification may refer to. In a run, and in a Pipeline's
// taskSpec, that is more than it declares: Tekton propagates parameters and
// workspaces to what is written out (docs/pipelineruns.md, "Propagated Parameters").
type graphScope struct {
	params     map[string][]map[string]any // declarations and given values, by name
	workspaces map[string]bool
}

// with is a scope and what some fields declare or give.
func (s graphScope) with(fields map[string]any) graphScope {
	var r object.Reader
	wider := graphScope{maps.Clone(s.params), maps.Clone(s.workspaces)}
	if wider.params == nil {
		wider = graphScope{map[string][]map[string]any{}, map[string]bool{}}
	}
	for _, item := range graphItems(fields, "", "params") {
		wider.params[item.Name] = append(slices.Clip(wider.params[item.Name]), item.Fields)
	}
	for _, item := range graphMatrixParams(fields) {
		wider.params[item.Name] = append(slices.Clip(wider.params[item.Name]), nil)
	}
	for _, workspace := range r.FieldsList(fields, "workspaces") {
		wider.workspaces[r.Text(workspace, "name")] = true
	}
	return wider
}

// graphItem is an item of a list of things that have names.
type graphItem struct {
	Path   string
	Name   string
	Fields map[string]any
}

// graphItems returns those of a list that are objects with a name. Of params it also
// returns those of v1alpha1, which stood in inputs.
func graphItems(fields map[string]any, path, key string) []graphItem {
	var r object.Reader
	var found []graphItem
	add := func(in map[string]any, at string) {
		for i, item := range r.FieldsList(in, key) {
			if name := r.Text(item, "name"); name != "" {
				found = append(found, graphItem{fmt.Sprintf("%s[%d]", join(at, key), i), name, item})
			}
		}
	}
	add(fields, path)
	if key == "params" {
		add(r.Fields(fields, "inputs"), join(path, "inputs"))
	}
	return found
}

// graphMatrixParams returns the params of a task's matrix, those of include too.
func graphMatrixParams(fields map[string]any) []graphItem {
	var r object.Reader
	matrix := r.Fields(fields, "matrix")
	found := graphItems(matrix, "matrix", "params")
	for _, include := range r.FieldsList(matrix, "include") {
		found = append(found, graphItems(include, "matrix.include", "params")...)
	}
	return found
}

// graphSpec is a specification that is written out.
type graphSpec struct {
	Path   string // such as "spec.taskSpec"
	Kind   string // Task, StepAction or Pipeline
	Fields map[string]any
	Scope  graphScope     // all that it may refer to
	Outer  graphScope     // that of it which it does not declare itself
	Run    map[string]any // the specification of the run in which it stands, nil elsewhere
}

// graphSpecsIn returns every specification in an object, those of custom tasks left
// out.
func graphSpecsIn(p *Pass) []graphSpec {
	return once(p, "graphSpecsIn", func() []graphSpec { return walkGraphSpecsIn(p) })
}

func walkGraphSpecsIn(p *Pass) []graphSpec {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	switch p.Kind.Kind {
	case "Task", "ClusterTask":
		return newGraphSpecs(graphSpec{Path: "spec", Kind: "Task", Fields: spec})
	case "StepAction", "Pipeline":
		return newGraphSpecs(graphSpec{Path: "spec", Kind: p.Kind.Kind, Fields: spec})
	case "TaskRun":
		return newGraphSpecs(graphSpec{
			Path: "spec.taskSpec", Kind: "Task", Fields: r.Fields(spec, "taskSpec"), Outer: graphScope{}.with(spec), Run: spec,
		})
	case "PipelineRun":
		return newGraphSpecs(graphSpec{
			Path: "spec.pipelineSpec", Kind: "Pipeline", Fields: r.Fields(spec, "pipelineSpec"), Outer: graphScope{}.with(spec), Run: spec,
		})
	}
	return nil
}

func newGraphSpecs(spec graphSpec) []graphSpec {
	if spec.Fields == nil {
		return nil
	}
	var r object.Reader
	spec.Scope = spec.Outer.with(spec.Fields)
	found := []graphSpec{spec}
	if spec.Kind != "Pipeline" {
		return found
	}
	for _, task := range spec.tasks() {
		if task.Custom {
			continue
		}
		for _, kind := range []string{"Task", "Pipeline"} {
			key := strings.ToLower(kind) + "Spec"
			found = append(found, newGraphSpecs(graphSpec{
				Path: task.Path + "." + key, Kind: kind, Fields: r.Fields(task.Fields, key),
				Outer: spec.Scope.with(task.Fields), Run: spec.Run,
			})...)
		}
	}
	return found
}

// graphTask is a task of a pipeline.
type graphTask struct {
	graphItem
	Final  bool
	Custom bool // whether other programs than Tekton's run it
}

// tasks returns the tasks of a pipeline, then the finally tasks; also those without
// a name.
func (s graphSpec) tasks() []graphTask {
	var r object.Reader
	var found []graphTask
	if s.Kind != "Pipeline" {
		return nil
	}
	for _, list := range []string{"tasks", "finally"} {
		for i, fields := range r.FieldsList(s.Fields, list) {
			item := graphItem{fmt.Sprintf("%s.%s[%d]", s.Path, list, i), r.Text(fields, "name"), fields}
			custom := graphIsCustom(r.Fields(fields, "taskRef")) || graphIsCustom(r.Fields(fields, "taskSpec"))
			found = append(found, graphTask{item, list == "finally", custom})
		}
	}
	return found
}

// unit is how messages call a task.
func (t graphTask) unit() string { return fmt.Sprintf("task %q", t.Name) }

// graphIsCustom tells whether a taskRef or taskSpec is a custom task's.
func graphIsCustom(fields map[string]any) bool {
	var r object.Reader
	version, kind := r.Text(fields, "apiVersion"), r.Text(fields, "kind")
	return version != "" && !strings.HasPrefix(version, tektonGroup+"/") || !slices.Contains([]string{"", "Task", "ClusterTask"}, kind)
}

// graphCall is a place that makes use of a Task, Pipeline or StepAction: a run, a
// task of a pipeline, or a step. It gives params and workspaces.
type graphCall struct {
	Path   string // where params stands: "spec" of a run
	Ref    string // where it is named, such as "spec.taskRef"
	Unit   string // how to call it: `task "build"`, "this TaskRun"
	Fields map[string]any

	Kind   string         // Task, Pipeline or StepAction
	Name   string         // of the object, "" where it is written out
	Target map[string]any // the specification, nil where it is not known
	Outer  graphScope     // what propagates to one that is written out
}

// target is how messages call what is called.
func (c graphCall) target() string {
	if c.Name == "" {
		return "its specification"
	}
	return fmt.Sprintf("%s %q", c.Kind, c.Name)
}

// graphCallsIn returns the calls of local objects by name, whose Target is not yet
// known, and of specifications that are written out. TaskRuns of a PipelineRun have
// none: its controller has looked already.
func graphCallsIn(p *Pass) []graphCall {
	return once(p, "graphCallsIn", func() []graphCall { return walkGraphCallsIn(p) })
}

func walkGraphCallsIn(p *Pass) []graphCall {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	var calls []graphCall
	if slices.ContainsFunc(runs, func(k schema.GroupVersionKind) bool { return k == p.Kind }) {
		for _, owner := range r.FieldsList(r.Fields(p.Object, "metadata"), "ownerReferences") {
			if r.Text(owner, "kind") == "PipelineRun" {
				return nil
			}
		}
		kind := strings.TrimSuffix(p.Kind.Kind, "Run")
		calls = append(calls, graphCall{Path: "spec", Unit: "this " + p.Kind.Kind, Fields: spec, Kind: kind}.ways(graphScope{})...)
	}
	for _, s := range graphSpecsIn(p) {
		for _, task := range s.tasks() {
			if task.Custom {
				continue
			}
			call := graphCall{Path: task.Path, Unit: task.unit(), Fields: task.Fields}
			call.Kind = "Task"
			calls = append(calls, call.ways(s.Scope)...)
			call.Kind = "Pipeline"
			calls = append(calls, call.ways(s.Scope)...)
		}
		calls = append(calls, s.stepCalls()...)
	}
	if expression.Any(p.Namespace) { // the objects to which names lead are only known at run time
		calls = slices.DeleteFunc(calls, func(c graphCall) bool { return c.Name != "" })
	}
	return calls
}

// ways returns the reference and the specification of a call, of which there should
// be one.
func (c graphCall) ways(outer graphScope) []graphCall {
	var r object.Reader
	var found []graphCall
	field := strings.ToLower(c.Kind)
	if name, local := graphLocalName(r.Fields(c.Fields, field+"Ref"), c.Kind); local {
		c.Ref, c.Name = c.Path+"."+field+"Ref.name", name
		found = append(found, c)
	}
	if spec := r.Fields(c.Fields, field+"Spec"); spec != nil {
		c.Ref, c.Name, c.Target, c.Outer = c.Path+"."+field+"Spec", "", spec, outer
		found = append(found, c)
	}
	return found
}

func (s graphSpec) stepCalls() []graphCall {
	var r object.Reader
	var found []graphCall
	if s.Kind != "Task" {
		return nil
	}
	for i, step := range r.FieldsList(s.Fields, "steps") {
		name, local := graphLocalName(r.Fields(step, "ref"), "StepAction")
		if !local {
			continue
		}
		path := fmt.Sprintf("%s.steps[%d]", s.Path, i)
		unit := fmt.Sprintf("step %d", i)
		if own := r.Text(step, "name"); own != "" {
			unit = fmt.Sprintf("step %q", own)
		}
		found = append(found, graphCall{Path: path, Ref: path + ".ref.name", Unit: unit, Fields: step, Kind: "StepAction", Name: name})
	}
	return found
}

// graphLocalName returns the name of an object in the same namespace to which a reference
// leads. It reports false for what a resolver or a bundle brings, for a custom task,
// and for a name that is only known at run time.
func graphLocalName(ref map[string]any, kind string) (string, bool) {
	var r object.Reader
	name, own, version := r.Text(ref, "name"), r.Text(ref, "kind"), r.Text(ref, "apiVersion")
	local := name != "" && r.Text(ref, "resolver") == "" && r.Text(ref, "bundle") == "" &&
		(own == "" || own == kind) && (version == "" || strings.HasPrefix(version, tektonGroup+"/")) &&
		!expression.Any(name) && !strings.Contains(name, "://")
	return name, local
}

// graphResolvedCalls returns the calls whose specification is known. What cannot be looked
// up is passed over: missing-definition tells of it.
func graphResolvedCalls(ctx context.Context, p *Pass) []graphCall {
	return once(p, "graphResolvedCalls", func() []graphCall { return walkGraphResolvedCalls(ctx, p) })
}

func walkGraphResolvedCalls(ctx context.Context, p *Pass) []graphCall {
	var r object.Reader
	var found []graphCall
	for _, call := range graphCallsIn(p) {
		if call.Name != "" {
			there, err := p.Cluster.Get(ctx, schema.GroupKind{Group: tektonGroup, Kind: call.Kind}, p.Namespace, call.Name)
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
func (c graphCall) given() map[string]bool {
	names := map[string]bool{}
	for _, item := range slices.Concat(graphItems(c.Fields, c.Path, "params"), graphMatrixParams(c.Fields)) {
		names[item.Name] = true
	}
	return names
}

// graphUse is an expression in a text, taken apart.
type graphUse struct {
	Path  string          // of the text
	Text  string          // of the expression
	Parts expression.Path // params, image; "inputs" before params is left out
	Task  map[string]any  // the task of a pipeline in which it stands, if it is in one
}

// graphUsesIn returns the expressions in some fields that have one of some roots. Texts for
// readers alone are left out, and so are the fields that skip names. A here-document may hold another object's expressions, which
// whoever applies that object wants untouched; with lenient it is left out too.
func graphUsesIn(fields map[string]any, path string, lenient bool, skip []string, roots ...string) []graphUse {
	var found []graphUse
	for _, key := range sortedKeys(fields) {
		if slices.Contains(skip, key) {
			continue
		}
		for _, t := range expressionsIn(fields[key], join(path, key)) {
			if graphForReaders(t.Path) || lenient && strings.Contains(t.Value, "<<") {
				continue
			}
			for _, e := range expression.Find(t.Value) {
				if root := e.Root(); root != "inputs" && !slices.Contains(roots, root) {
					continue
				}
				parts, ok := e.Path()
				if ok && len(parts) > 1 && parts[0] == "inputs" && parts[1] == "params" {
					parts = parts[1:]
				}
				if ok && len(parts) > 1 && slices.Contains(roots, parts[0]) {
					found = append(found, graphUse{Path: t.Path, Text: e.Text, Parts: parts})
				}
			}
		}
	}
	return found
}

// graphForReaders tells whether nothing depends on a text: descriptions, display names, and
// what the combinations of a matrix are called.
func graphForReaders(path string) bool {
	return strings.HasSuffix(path, ".description") || strings.HasSuffix(path, ".displayName") ||
		strings.Contains(path, ".matrix.include[") && strings.HasSuffix(path, "].name")
}

// uses returns the expressions of a specification itself, not those of specifications
// within it, nor those of custom tasks.
func (s graphSpec) uses(roots ...string) []graphUse {
	lenient := s.Run != nil
	if s.Kind != "Pipeline" {
		return graphUsesIn(s.Fields, s.Path, lenient, nil, roots...)
	}
	found := graphUsesIn(s.Fields, s.Path, lenient, []string{"tasks", "finally"}, roots...)
	for _, task := range s.tasks() {
		for _, use := range graphUsesIn(task.Fields, task.Path, lenient, []string{"taskSpec", "pipelineSpec"}, roots...) {
			use.Task = task.Fields
			found = append(found, use)
		}
	}
	return found
}

// graphDeclaredType is the type of a declared param: what it says, or what its properties
// and its default tell.
func graphDeclaredType(declaration map[string]any) string {
	var r object.Reader
	if named := r.Text(declaration, "type"); named != "" {
		return named
	}
	if declaration["properties"] != nil {
		return "object"
	}
	if kind := graphValueType(declaration["default"]); kind != "" {
		return kind
	}
	return "string"
}

// graphValueType is the type of a param's value, "" for none.
func graphValueType(value any) string {
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

// graphSuggest is a remedy that names what was most likely meant.
func graphSuggest(name string, known []string, otherwise string) string {
	if best := suggest.Closest(name, known); best != "" {
		return fmt.Sprintf("did you mean %q? If not, %s", best, otherwise)
	}
	return otherwise
}
