package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// maxOwn bounds how many namespaces a condition may name: each of them costs
// something with every object.
const maxOwn = 200

// Conditions returns, for each webhook of the mutating configuration, an expression
// in CEL that is true of every object that the rules would change or warn about. Of
// others it may be true as well: what cannot be told cheaply and for certain is
// asked about.
//
// It can be evaluated whatever the object is: each field is looked for, and its type
// is, before it is read, since an expression that fails keeps the object away or
// refuses it, as failurePolicy says. And its cost is bounded, since one that becomes
// too costly fails: beyond some steps, and some length of a name, everything is let
// through.
//
// Own are the namespaces with settings of their own, see wellknown.MutatorKey, which
// conditions cannot see: there everything is asked about. The error is that of
// mutator.New.
func Conditions(config mutator.Config, mirror *image.Rules, own []string) (map[string]string, error) {
	m, err := mutator.New(config, mirror, nil)
	if err != nil {
		return nil, err
	}
	if config.Overlays.Disabled {
		own = nil
	}
	if len(own) > maxOwn {
		return map[string]string{wellknown.MutateRuns: wellknown.Always, wellknown.MutateReapplied: wellknown.Always,
			wellknown.MutateResolved: wellknown.Always, wellknown.MutateStored: wellknown.Always,
			wellknown.MutatePods: wellknown.Always}, nil
	}
	c := &wanting{config: config, known: m.Known(), own: own}
	builds := c.builders()
	caRuns, caReferred, caPods := builds.run(), builds.resolved(), builds.pod()
	if steps := config.CABundle.Steps; len(steps.Names)+len(steps.Images) > 0 {
		caRuns, caReferred, caPods = writesSteps, wellknown.Always, wellknown.Always
	}
	runs := c.wanted(map[string][]string{
		"service-account": {c.accountMissing()}, "image-pull-secrets": {wellknown.Always},
		"pod-template":  {wellknown.Always},
		"docker-config": {builds.run(), localTask}, "kaniko": {builds.run()},
		"env": {writesSteps}, "ca-bundle": {caRuns}, "resources": {writesSteps},
		"local-tasks":  {localTask, mergedTask, namesAction("object.spec", "taskSpec")},
		"image-mirror": {writesSteps, bringsVolumes, localTask, fetchedTask},
	})
	builder, pods := []string{builds.resolved()}, []string{builds.pod()}
	referred := map[string][]string{"docker-config": builder, "kaniko": builder,
		"env": {wellknown.Always}, "ca-bundle": {caReferred}, "resources": {wellknown.Always},
		"image-mirror": {wellknown.Always},
		"local-tasks":  {namesAction("object", "spec")}}
	return map[string]string{
		wellknown.MutateRuns: runs, wellknown.MutateReapplied: runs,
		wellknown.MutateResolved: c.wanted(referred), wellknown.MutateStored: c.stored(referred),
		wellknown.MutatePods: c.wanted(map[string][]string{"docker-config": pods, "kaniko": pods,
			"env": {wellknown.Always}, "ca-bundle": {caPods}, "resources": {wellknown.Always}}),
	}, nil
}

// wanting makes the expressions of one configuration.
type wanting struct {
	config mutator.Config
	known  mutator.Known
	own    []string
}

// annotations are those of the object, which need not have any.
const annotations = `(has(object.metadata.annotations) && object.metadata.annotations != null ? object.metadata.annotations : {})`

// stored writes that an object which is about to be stored is one of those that
// mutator.localTasks selects, and that rules may change it. Whatever has a record is asked
// about, since that may have to be pruned.
//
// Where stored objects stay as they are, only those in namespaces with settings of their own
// are asked about, and nothing at all if these cannot say otherwise.
func (c *wanting) stored(changes map[string][]string) string {
	var parts []string
	if len(c.own) > 0 && c.config.Overlays.MaySet("localTasks.mode") {
		parts = append(parts, c.inOwn())
	}
	if local := c.config.LocalTasks; local.Mode == mutator.TasksStored && !local.Disabled {
		cluster := &wanting{config: c.config, known: c.known}
		parts = append(parts, quote(wellknown.MutatedKey)+" in "+annotations,
			both(withLabels(written(local.Scope)), "("+cluster.wanted(changes)+")"))
	}
	if len(parts) == 0 {
		return never
	}
	return strings.Join(parts, " ||\n")
}

// never is the expression of a webhook that is not used.
const never = "false"

// inOwn writes that the object is in a namespace with settings of its own.
func (c *wanting) inOwn() string {
	return "request.namespace in " + quotes(slices.Sorted(slices.Values(c.own)))
}

// withLabels puts the object's labels into a condition.
func withLabels(condition string) string {
	return strings.ReplaceAll(condition, "variables.labels", field("object.metadata", "labels", "{}"))
}

// wanted writes that one of the rules that are on may have to do with the object;
// changes says when by the rule's id, and a rule that is not there never has.
func (c *wanting) wanted(changes map[string][]string) string {
	// Asked for are a record, and a word about rules that do not exist.
	parts := []string{fmt.Sprintf("%s in %s || %s in %s", quote(wellknown.ProbeKey), annotations,
		quote(wellknown.SkipRulesKey), annotations)}
	if len(c.own) > 0 {
		parts = append(parts, c.inOwn())
	}
	scopes := map[string]mutator.Scope{
		"service-account": c.config.ServiceAccount.Scope, "docker-config": c.config.DockerConfig.Scope,
		"kaniko": c.config.Kaniko.Scope,
		"env":    c.config.Env.Scope, "ca-bundle": c.config.CABundle.Scope, "resources": c.config.Resources.Scope,
		"image-pull-secrets": c.config.ImagePullSecrets.Scope,
		"pod-template":       c.config.PodTemplate.Scope, "image-mirror": c.config.ImageMirror.Scope,
		"local-tasks": c.config.LocalTasks.Scope,
	}
	var order []string
	within := map[string][]string{} // the scopes of the rules that a change is of
	for _, id := range c.known.On {
		for _, change := range changes[id] {
			if within[change] == nil {
				order = append(order, change)
			}
			within[change] = append(within[change], written(scopes[id]))
		}
	}
	for _, change := range order { // each once, since what is written costs something
		parts = append(parts, both(either(within[change]), change))
	}
	if slices.Contains(parts, wellknown.Always) {
		return wellknown.Always
	}
	return withLabels(strings.Join(parts, " ||\n"))
}

// written is what a scope says of an object. One that cannot be written keeps nothing
// away.
func written(s mutator.Scope) string {
	within, ok := inScope(s)
	if !ok {
		return wellknown.Always
	}
	return within.object
}

// either joins conditions of which one has to hold, and both two that have to.
func either(conditions []string) string {
	if slices.Contains(conditions, wellknown.Always) {
		return wellknown.Always
	}
	return some(unique(conditions)...)
}

func both(a, b string) string {
	switch {
	case a == wellknown.Always:
		return b
	case b == wellknown.Always:
		return a
	}
	return all(a, b)
}

func unique(texts []string) []string {
	var kept []string
	for _, text := range texts {
		if !slices.Contains(kept, text) {
			kept = append(kept, text)
		}
	}
	return kept
}

// fields writes that a field is there and holds an object.
func fields(of, name string) string { return typed(of, name, "map") }

func typed(of, name, kind string) string {
	return fmt.Sprintf("has(%[1]s.%[2]s) && type(%[1]s.%[2]s) == %[3]s", of, name, kind)
}

// writesSteps is that a run writes out what holds steps.
var writesSteps = "(" + fields("object", "spec") + " && (has(object.spec.taskSpec) || has(object.spec.pipelineSpec)))"

// bringsVolumes is that a run may bring volumes in a podTemplate, of which some may be images.
var bringsVolumes = "(" + fields("object", "spec") + " && (" + fields("object.spec", "podTemplate") +
	" && has(object.spec.podTemplate.volumes) || " + fields("object.spec", "taskRunTemplate") + " && " +
	fields("object.spec.taskRunTemplate", "podTemplate") + " && has(object.spec.taskRunTemplate.podTemplate.volumes)" +
	" || has(object.spec.taskRunSpecs)))"

// localTask is that a run refers to a Task by its name, which has to be looked up:
// see object.ReferenceOf.
var localTask = "(" + fields("object", "spec") + " && " + fields("object.spec", "taskRef") +
	` && !(` + typed("object.spec.taskRef", "resolver", "string") + ` && object.spec.taskRef.resolver != ""))`

// mergedTask is that a run names a Task beside the resolver that fetches it: see
// object.NameOfTask.
var mergedTask = "(" + fields("object", "spec") + " && " + fields("object.spec", "taskRef") +
	" && has(object.spec.taskRef.name) && has(object.spec.taskRef.resolver))"

// fetchedTask is that the cluster resolver fetches a run's Task, which has to be looked up
// for the parameters that the run gives: see object.FetchedOf.
var fetchedTask = "(" + fields("object", "spec") + " && has(object.spec.params) && " + fields("object.spec", "taskRef") +
	` && ` + typed("object.spec.taskRef", "resolver", "string") + ` && object.spec.taskRef.resolver == "cluster")`

// namesAction writes that a step of the task at a place names a StepAction, or that there are
// more steps than are looked through.
func namesAction(of, name string) string {
	return all(fields("object", "spec"), fields(of, name), among(of+"."+name, "steps", mostSteps, "s", "has(s.ref)"))
}

// accountMissing is that a run names no ServiceAccount and that no PipelineRun has
// decided: see the rule service-account.
func (c *wanting) accountMissing() string {
	unset := quotes(append([]string{""}, c.config.ServiceAccount.TreatAsUnset...))
	named := func(of string) string {
		return fmt.Sprintf("%s && !(%s.serviceAccountName in %s)", typed(of, "serviceAccountName", "string"), of, unset)
	}
	const template = `request.kind.kind == "PipelineRun" && request.kind.version == "v1"`
	given := fmt.Sprintf("(%s ? %s && %s : %s)", template, fields("object.spec", "taskRunTemplate"),
		named("object.spec.taskRunTemplate"), named("object.spec"))
	const owned = `has(object.metadata.ownerReferences) && type(object.metadata.ownerReferences) == list && size(object.metadata.ownerReferences) <= 20` +
		` && object.metadata.ownerReferences.exists(o, type(o) == map && has(o.kind) && o.kind == "PipelineRun"` +
		` && has(o.apiVersion) && type(o.apiVersion) == string && o.apiVersion.startsWith("tekton.dev/"))`
	return all(fields("object", "spec"), not(given), not(owned))
}
