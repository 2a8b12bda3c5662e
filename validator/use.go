package validator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// embeddedTask is where the steps of a TaskRun are, if it has its own.
const embeddedTask = "spec.taskSpec"

// judgeTask judges the Task of its namespace that a new TaskRun names, with the values of
// the run: who wrote the Task has been told what is wrong with it, but not of values that
// only a run has. That costs a look-up, so only rules that may refuse the run do so.
func (j *judgement) judgeTask(ctx context.Context, pass *rule.Pass) {
	if pass.Kind.Kind != "TaskRun" || pass.Kind.Group != rule.TektonGroup || j.request == nil {
		return
	}
	name, fetched := localTask(pass.Object, j.namespace)
	enforced := slices.DeleteFunc(slices.Clone(j.validator.rules()), func(r *rule.Rule) bool {
		return !r.AtUse || !r.Handles(pass.Kind) || j.mode(r) != rule.Enforce
	})
	if name == "" || len(enforced) == 0 {
		return
	}
	task, err := j.memory.Get(ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: "Task"}, j.namespace, name)
	if err != nil && !errors.Is(err, rule.ErrUnknown) {
		j.out.Unknown = append(j.out.Unknown,
			fmt.Sprintf("spec.taskRef was not checked: asking for Task %q failed: %v", name, err))
	}
	if fetched && task != nil && j.validator.Fetched != nil {
		task = j.validator.Fetched(ctx, j.namespace, task)
	}
	var r object.Reader
	spec := r.Fields(task, "spec")
	if spec == nil {
		return // Tekton waits for a Task that does not exist, or fails the run
	}
	own := j.exceptions
	defer func() { j.exceptions = own }()
	j.exceptions = exceptionsOf(task)
	maps.Copy(j.exceptions, own)
	whole := pass.With(withTask(pass.Object, spec))
	for _, r := range enforced {
		found, unknown, err := whole.Judge(ctx, r, rule.Enforce)
		j.take(ctx, r, j.judged(ctx, r, pass.Kind, ofTask(found, name)))
		j.note(Unjudged{r.ID, rule.Enforce}, unknown, err)
	}
}

// localTask returns the name of the Task of its own namespace that a TaskRun refers to, ""
// for any other, and whether the cluster resolver fetches it: the mutator makes such
// references.
func localTask(taskRun map[string]any, namespace string) (name string, fetched bool) {
	if ref, local := object.ReferenceOf(taskRun); local {
		return ref.Name, false
	}
	if ref, is := object.FetchedOf(taskRun, object.FetchDefaults{}); is && ref.Namespace == namespace {
		return ref.Name, true
	}
	return "", false
}

// withTask returns a TaskRun as it would be with the specification of its Task in it.
func withTask(taskRun, task map[string]any) map[string]any {
	var r object.Reader
	spec := maps.Clone(r.Fields(taskRun, "spec"))
	delete(spec, "taskRef")
	spec["taskSpec"] = task
	whole := maps.Clone(taskRun)
	whole["spec"] = spec
	return whole
}

// ofTask returns the findings that are in the Task, with the paths that they have there.
// Those in the run itself have been found before.
func ofTask(found []*rule.Finding, name string) []*rule.Finding {
	var inside []*rule.Finding
	for _, f := range found {
		if rest, is := strings.CutPrefix(f.Path, embeddedTask); is {
			f.Path, f.Fix = fmt.Sprintf("Task %q, spec%s", name, rest), nil
			inside = append(inside, f)
		}
	}
	return inside
}

// inherits reports whether an exception of a TaskRun that Tekton's controller creates is
// that of an author of the namespace. The controller merges the annotations of the
// PipelineRun, of its Pipeline and of the Pipeline's tasks. If a resolver has fetched the
// Pipeline, then its author may be anybody, and only what the PipelineRun's own author
// wrote counts. So it is for its Pod if the Task was fetched. meta is the TaskRun's.
func (j *judgement) inherits(ctx context.Context, of *rule.Rule, meta map[string]any, fetched bool) bool {
	var r object.Reader
	key := exceptionPrefix + of.ID
	value := r.Text(r.Fields(r.Fields(j.subject.Fields, "metadata"), "annotations"), key)
	name, uid := ownerOf(meta, "PipelineRun")
	run, err := j.memory.Get(ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: "PipelineRun"},
		j.namespace, name)
	meta = r.Fields(run, "metadata")
	if err != nil || run == nil || r.Text(meta, "uid") != uid {
		j.out.Unknown = append(j.out.Unknown, fmt.Sprintf(
			"the exception does not count, since PipelineRun %q, from which it comes, was not found: %v (rule %s)",
			name, err, of.ID))
		return false
	}
	if parent, _ := ownerOf(meta, "PipelineRun"); parent != "" {
		return false // another Pipeline wrote it
	}
	spec := r.Fields(run, "spec")
	ref := r.Fields(spec, "pipelineRef")
	if !fetched && r.Text(ref, "resolver") == "" && r.Text(ref, "bundle") == "" {
		return true
	}
	for _, own := range r.FieldsList(spec, "taskRunSpecs") {
		if r.Text(r.Fields(r.Fields(own, "metadata"), "annotations"), key) == value {
			return true
		}
	}
	return isAuthored(meta, key, value)
}

// ownerOf returns the run of a kind that an object belongs to.
func ownerOf(meta map[string]any, kind string) (name, uid string) {
	var r object.Reader
	for _, owner := range r.FieldsList(meta, "ownerReferences") {
		if r.Text(owner, "kind") == kind && r.Flag(owner, "controller") {
			return r.Text(owner, "name"), r.Text(owner, "uid")
		}
	}
	return "", ""
}

// isAuthored reports whether anybody but Tekton's controller gave an annotation of a run
// its value. The controller is the one that writes its status.
func isAuthored(meta map[string]any, key, value string) bool {
	var r object.Reader
	if r.Text(r.Fields(meta, "annotations"), key) != value {
		return false
	}
	managed := r.FieldsList(meta, "managedFields")
	controllers := map[string]bool{}
	for _, m := range managed {
		if r.Text(m, "subresource") == "status" {
			controllers[r.Text(m, "manager")] = true
		}
	}
	return slices.ContainsFunc(managed, func(m map[string]any) bool {
		annotations := r.Fields(r.Fields(r.Fields(m, "fieldsV1"), "f:metadata"), "f:annotations")
		_, sets := annotations["f:"+key]
		return sets && !controllers[r.Text(m, "manager")]
	})
}

// judgeExceptions refuses an object with an exception that its user may not make, for rules
// that judge at use: Tekton copies it to the TaskRuns, and there nobody knows any more who
// wrote it.
func (j *judgement) judgeExceptions(ctx context.Context) {
	if j.request == nil || j.validator.authorOf(j.request) == rule.Controller ||
		j.subject.Kind.Group != rule.TektonGroup || j.validator.Config.Exceptions.Disabled {
		return
	}
	at := annotated(j.subject.Fields)
	if len(at) == 0 {
		return
	}
	for _, r := range j.validator.rules() {
		path, excepts := at[r.ID]
		if !excepts || !r.AtUse || j.mode(r) != rule.Enforce ||
			j.validator.Config.exceptionsFrom(r) != exceptionsOfAuthorized || j.isAuthorized(ctx, r) {
			continue
		}
		j.out.Findings = append(j.out.Findings, rule.Finding{
			Rule: r.ID, Severity: r.Severity, Mode: rule.Enforce, Path: path,
			Message: "you may not except an object from this rule: remove the annotation, or ask for a role that allows it",
		})
	}
}

// annotated returns where an object has exceptions, by the ids of the rules: in its own
// annotations, and in those that Tekton gives to the TaskRuns of single tasks.
func annotated(fields map[string]any) map[string]string {
	var r object.Reader
	at := map[string]string{}
	add := func(holder map[string]any, path string) {
		for key := range r.Fields(r.Fields(holder, "metadata"), "annotations") {
			if id, ours := strings.CutPrefix(key, exceptionPrefix); ours && at[id] == "" {
				at[id] = strings.TrimPrefix(path+".metadata.annotations["+key+"]", ".")
			}
		}
	}
	add(fields, "")
	spec := r.Fields(fields, "spec")
	for i, own := range r.FieldsList(spec, "taskRunSpecs") {
		add(own, fmt.Sprintf("spec.taskRunSpecs[%d]", i))
	}
	for _, task := range object.Tasks(fields) {
		add(task.Spec, task.Path)
	}
	return at
}
