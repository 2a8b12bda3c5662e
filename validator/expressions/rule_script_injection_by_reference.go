package expressions

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var scriptInjectionByReferenceRule = &rule.Rule{
	ID:       "script-injection-by-reference",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    kindsWithTemplates,
	Doc: `Finds params of a TriggerTemplate that become part of a script in a Task which the
template's TaskRun, PipelineRun or pipeline only refers to: the template gives the Task a
param, and the Task writes ` + "`$(params.x)`" + ` in a script or in the code of ` + "`sh -c`" + `. See script-injection
for what that lets happen.

The place to mend it is the Task: an environment variable of the step with that value.

Tasks and Pipelines of the namespace are looked up. Those that a resolver fetches are not
known and pass, and so do ClusterTasks.`,
	Check: checkScriptInjectionByReference,
}

func checkScriptInjectionByReference(ctx context.Context, p *rule.Pass) {
	for _, t := range templatesIn(p) {
		for _, resource := range t.resources() {
			search := injectionSearch{ctx: ctx, pass: p, at: resource.Path + "."}
			search.run(resource.Fields)
		}
	}
}

// injectionSearch goes from a run in a template to the Tasks that it refers to.
type injectionSearch struct {
	ctx       context.Context
	pass      *rule.Pass
	at        string // of the resource
	namespace string
}

func (s *injectionSearch) run(fields map[string]any) {
	var r object.Reader
	spec := r.Fields(fields, "spec")
	given := (*paramScope)(nil).with(s.pass, r.FieldsList(spec, "params"))
	if s.namespace = r.Text(r.Fields(fields, "metadata"), "namespace"); s.namespace == "" {
		s.namespace = s.pass.Namespace
	}
	switch {
	case schema.FromAPIVersionAndKind(r.Text(fields, "apiVersion"), "").Group != rule.TektonGroup:
	case r.Text(fields, "kind") == "TaskRun":
		s.reference("spec.taskRef", spec, given)
	case r.Text(fields, "kind") == "PipelineRun":
		eachPipelineTask(s.pass, "spec.pipelineSpec", r.Fields(spec, "pipelineSpec"), given,
			func(at string, task map[string]any, inner *paramScope) {
				s.reference(at+".taskRef", task, inner.only(r.FieldsList(task, "params")))
			})
		s.pipeline(r.Fields(spec, "pipelineRef"), given)
	}
}

// pipeline looks into a Pipeline of the cluster, and reports at the reference to it.
func (s *injectionSearch) pipeline(ref map[string]any, given *paramScope) {
	name := localTaskName(ref)
	spec := s.spec("Pipeline", name)
	if spec == nil {
		return
	}
	const at = "spec.pipelineRef"
	var r object.Reader
	eachPipelineTask(s.pass, at, spec, given, func(_ string, task map[string]any, inner *paramScope) {
		s.reference(at, task, inner.only(r.FieldsList(task, "params")))
		s.task(at, "Pipeline "+strconv.Quote(name), r.Fields(task, "taskSpec"), inner)
	})
}

// reference looks into the Task that a run or a pipeline's task refers to.
func (s *injectionSearch) reference(at string, from map[string]any, given *paramScope) {
	ref, _ := from["taskRef"].(map[string]any)
	name := localTaskName(ref)
	s.task(at, "Task "+strconv.Quote(name), s.spec("Task", name), given)
}

func (s *injectionSearch) task(at, unit string, spec map[string]any, within *paramScope) {
	for _, flow := range within.reach(s.pass, placesOf(object.Task{Spec: spec})) {
		if flow.Use == useScript {
			s.pass.Report(s.at+at,
				"%s puts a param into %s, and the template gives it %s, so whoever chooses that runs commands there: let the step take it from an env variable",
				unit, flow.Name, templateParamsText(flow.Params))
		}
	}
}

func (s *injectionSearch) spec(kind, name string) map[string]any {
	var r object.Reader
	if name == "" {
		return nil
	}
	fields, err := s.pass.Cluster.Get(s.ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: kind}, s.namespace, name)
	if err != nil {
		return nil // of what is not there, others tell
	}
	return r.Fields(fields, "spec")
}

// localTaskName is the name in a reference to an object of the namespace, "" in any other.
func localTaskName(ref map[string]any) string {
	var r object.Reader
	_, local := object.ReferenceOf(map[string]any{"spec": map[string]any{"taskRef": ref}})
	if name := r.Text(ref, "name"); local && templateParamsOf(name) == nil {
		return name
	}
	return ""
}

// only returns the part of a scope that some params give: what a task refers to sees
// nothing else.
func (s *paramScope) only(params []map[string]any) *paramScope {
	var r object.Reader
	part := &paramScope{own: map[string][]string{}}
	for _, given := range params {
		name := r.Text(given, "name")
		part.own[name] = s.of(name)
	}
	return part
}
