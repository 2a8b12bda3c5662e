package mutator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
)

var localTasksRule = Rule{
	ID:    "local-tasks",
	Kinds: slices.Concat(taskRuns, tasks),
	Doc: `Makes a TaskRun that names a Task of its namespace fetch it by Tekton's cluster resolver,
if the other rules would change the Task's steps. Steps that name a StepAction of the
namespace fetch it likewise.

Configured by ` + "`mutator.localTasks`" + `. With ` + "`mode: resolve`" + `, which is the default, the rule is
on; ` + "`pod-template`" + ` and ` + "`stored`" + ` are other ways to the same steps, see
[stored Tasks](../docs/mutation.md#tasks-that-are-stored-in-the-namespace).

Tekton reads a Task that a run names where no webhook is asked. What a resolver fetches,
it creates by a dry run first, and runs what the webhooks made of it (since v0.62,
tektoncd/pipeline#8108). So the Task passes through all rules for that run alone, and what
is stored stays as its author wrote or signed it. The label tekton.dev/task and what else
a run takes over from its Task stay the same; the run's provenance gains its source.

A run or step is left alone if

- there is no Task of that name, or no rule would change it. If ` + "`docker-config`" + ` alone would
  and the run's podTemplate can carry the variable, it does;
- the Task has the annotation tekgate.dev/mutate: disabled;
- the run or the Task opts out of a rule that would change the Task, or the rule is not for
  the run: who fetches a Task for a run does not know that;
- Tekton is older than v0.62 (for a StepAction v1.0), or its flag enable-api-fields is
  stable, which allows no resolvers;
- the cluster resolver is off, not running, or not allowed to read the namespace;
- the namespace has a VerificationPolicy and the Task is not signed, or Tekton's flag
  trusted-resources-verification-no-match-policy is fail and there is no policy: Tekton
  verifies what it fetches, and does not verify what a run names;
- it is a StepAction that a Task names in a namespace with a VerificationPolicy: such a Task
  keeps naming what its author signed;
- a rule of the validator would refuse the Task.

Where Tekton's set-up is the reason, the answer has a warning. The run then gets what its
podTemplate and its Pod can carry.`,
	scope: func(s *settings) *scope {
		if cmp.Or(s.LocalTasks.Mode, TasksResolved) != TasksResolved {
			return &scope{}
		}
		return &s.scopes.local
	},
	apply: applyLocalTasks,
}

// The releases of Tekton Pipelines that let webhooks change what the cluster resolver
// fetches.
var (
	fetchedTasksSince   = version.MustParseGeneric("v0.62.0") // tektoncd/pipeline#8108
	fetchedActionsSince = version.MustParseGeneric("v1.0.0")  // supportedKinds of pkg/resolution/resolver/cluster
)

func applyLocalTasks(ctx context.Context, p *pass) {
	if p.kind.Kind == "TaskRun" {
		if p.fetchAgain() {
			return
		}
		if ref, ok := object.ReferenceOf(p.object); ok {
			p.fetchTask(ctx, ref)
			return
		}
	}
	found := false
	for _, task := range p.tasks() {
		for _, v := range p.views(task) {
			if ref, ok := v.step.Action(); ok {
				found = true
				p.fetchAction(ctx, ref)
			}
		}
	}
	if !found {
		p.not("", "it names no Task and no StepAction of its namespace")
	}
}

// fetchAgain makes a run that is applied once more fetch the Task that it has fetched. The
// manifest's name stands alone, or beside what the rule has added: who merges the two keeps
// both, and Tekton takes either.
func (p *pass) fetchAgain() bool {
	ref, ok := object.FetchedOf(p.before, p.tekton.Resolver.Defaults)
	if !ok || ref.Namespace != p.space {
		return false
	}
	named := object.NameOfTask(p.object)
	if named != ref.Name {
		return false
	}
	object.Fetch(p.object, ref)
	p.did("spec.taskRef", fmt.Sprintf("fetch Task %q by the cluster resolver, as before", ref.Name))
	return true
}

func (p *pass) fetchTask(ctx context.Context, ref object.Reference) {
	task, why := p.storedTask(ctx, p.space, ref.Name)
	if why != "" {
		p.not("", why)
		return
	}
	inner := p.fetched(ctx, task)
	changes := inner.rulesDone()
	if pod, _, _ := p.givenPod(); !p.objected || setsEnv(pod, dockerConfig) {
		// It has decided by the run's ServiceAccount, or the podTemplate has the variable.
		changes = slices.DeleteFunc(changes, func(id string) bool { return id == "docker-config" })
	}
	named := fmt.Sprintf("Task %q", ref.Name)
	if !p.fetches(ctx, "spec.taskRef", named, changes, inner, fetchedTasksSince) {
		return
	}
	ref.Fetch(p.space)
	p.did("spec.taskRef", fmt.Sprintf("fetch %s by the cluster resolver, for %s", named, listed(changes)))
}

func (p *pass) fetchAction(ctx context.Context, ref object.ActionReference) {
	action, err := p.cluster.StepAction(ctx, p.space, ref.Name)
	if why := usable(action, err, "StepAction", ref.Name, p.space); why != "" {
		p.not(ref.Path, why)
		return
	}
	inner := p.fetched(ctx, action)
	changes := inner.rulesDone()
	named := fmt.Sprintf("StepAction %q", ref.Name)
	if !p.fetches(ctx, ref.Path, named, changes, inner, fetchedActionsSince) {
		return
	}
	ref.Fetch(p.space)
	p.reread()
	p.did(ref.Path, fmt.Sprintf("fetch %s by the cluster resolver, for %s", named, listed(changes)))
}

// listed names the rules, this one only where it is the only one.
func listed(changes []string) string {
	if len(changes) > 1 {
		changes = slices.DeleteFunc(slices.Clone(changes), func(id string) bool { return id == "local-tasks" })
	}
	return strings.Join(changes, ", ")
}

// Fetched returns what the rules make of a stored Task or StepAction once a resolver has
// fetched it, to run it in the namespace.
func (m *Mutator) Fetched(ctx context.Context, namespace string, fields map[string]any) map[string]any {
	p := &pass{mutator: m, space: namespace}
	return p.fetched(ctx, fields).object
}

// fetched applies the rules to a copy of what is stored, as to what a resolver has fetched.
func (p *pass) fetched(ctx context.Context, fields map[string]any) *pass {
	inner := &pass{}
	apiVersion, _ := fields["apiVersion"].(string)
	kind, _ := fields["kind"].(string)
	p.mutator.begin(ctx, inner, Request{
		Kind: schema.FromAPIVersionAndKind(apiVersion, kind), Namespace: p.space, Resolved: true,
	}, runtime.DeepCopyJSON(fields))
	for i := range p.mutator.rules {
		inner.run(ctx, &p.mutator.rules[i])
	}
	return inner
}

// fetches tells whether what is stored is to be fetched, so that rules change it as they have
// changed inner. Where it is not, it says why.
func (p *pass) fetches(ctx context.Context, where, named string, changes []string, inner *pass,
	since *version.Version) bool {
	if len(changes) == 0 {
		p.not(where, "no rule would change "+named)
		p.passOnCA(named, inner)
		return false
	}
	if why := p.unwanted(changes, named, inner.notes); why != "" {
		p.not(where, why)
		return false
	}
	why := p.unfetchable(since)
	switch {
	case why != "":
	case inner.kind.Kind == "Task":
		why = p.unverified(ctx, inner.notes)
	case p.kind.Kind == "Task":
		why = p.verified(ctx)
	}
	if why == "" {
		why = p.refused(ctx, named, inner)
	}
	if why == "" {
		p.passOn(named, inner)
		return true
	}
	p.not(where, why)
	p.warn("%s is run as it is stored, without %s: %s", named, listed(changes), why)
	return false
}

// passOn gives the run the warnings about what it fetches: nobody reads those of the dry run.
func (p *pass) passOn(named string, inner *pass) {
	for _, warning := range inner.out.Warnings {
		p.out.Warnings = append(p.out.Warnings, named+", "+warning)
	}
	p.out.MoreWarnings += inner.out.MoreWarnings
}

// passOnCA is passOn for the warning that there is no certificate authority, which nobody else
// gives the run.
func (p *pass) passOnCA(named string, inner *pass) {
	for _, warning := range inner.out.Warnings {
		if strings.HasSuffix(warning, "(rule "+caBundleRule.ID+")") {
			p.out.Warnings = append(p.out.Warnings, named+", "+warning)
		}
	}
}

// unwanted says why one of the rules must not change what a run names, or "".
func (p *pass) unwanted(changes []string, named string, notes map[string]any) string {
	if skips(notes, "local-tasks") {
		return named + " opts out of the rule"
	}
	for _, id := range changes {
		scope := p.mutator.ruleByID(id).scope(p.settings)
		switch {
		case slices.Contains(p.skipped, id):
			return fmt.Sprintf("the %s opts out of the rule %s, which would change %s", p.kind.Kind, id, named)
		case skips(notes, id):
			return fmt.Sprintf("%s opts out of the rule %s", named, id)
		case scope.excludes(p.space, labelled(p.labels)) != "":
			return fmt.Sprintf("the rule %s, which would change %s, is not for this %s", id, named, p.kind.Kind)
		}
	}
	return ""
}

// unfetchable says why the cluster resolver cannot fetch anything here, or "".
func (p *pass) unfetchable(since *version.Version) string {
	switch {
	case p.tekton.olderThan(since):
		return fmt.Sprintf("nothing can change what Tekton %s fetches, which came with v%s: update Tekton",
			p.tekton.Version, since)
	case p.tekton.APIFields == "stable":
		return "Tekton's flag enable-api-fields is stable, which allows no resolvers: set it to beta"
	}
	return p.tekton.Resolver.refuses(p.space)
}

// unverified says why Tekton would not run a Task that it fetches, as its signature is, or "".
func (p *pass) unverified(ctx context.Context, notes map[string]any) string {
	verifies, err := p.cluster.Verifies(ctx, p.space)
	if err != nil {
		return fmt.Sprintf("looking up VerificationPolicies failed: %q", err)
	}
	switch {
	case verifies && notes[wellknown.SignatureKey] == nil:
		return fmt.Sprintf("namespace %q has a VerificationPolicy, and it is not signed: sign it", p.space)
	case !verifies && p.tekton.NoMatchPolicy == "fail":
		return "Tekton's flag trusted-resources-verification-no-match-policy is fail, and the namespace has no VerificationPolicy: write one"
	}
	return ""
}

// verified says why a StepAction of a Task stays a name, or "". A Task that is verified is left
// to name what its author signed.
func (p *pass) verified(ctx context.Context) string {
	verifies, err := p.cluster.Verifies(ctx, p.space)
	switch {
	case err != nil:
		return fmt.Sprintf("looking up VerificationPolicies failed: %q", err)
	case verifies || p.tekton.NoMatchPolicy == "fail":
		return fmt.Sprintf("namespace %q verifies Tasks, and StepActions stay as they are stored there: "+
			"write what it needs into the StepAction", p.space)
	}
	return ""
}

// refused says why the API server would refuse what is fetched, or "".
func (p *pass) refused(ctx context.Context, named string, inner *pass) string {
	if p.mutator.Refusal == nil {
		return ""
	}
	if why := p.mutator.Refusal(ctx, inner.kind, p.space, inner.object); why != "" {
		return fmt.Sprintf("a rule would refuse %s: %s", named, why)
	}
	return ""
}
