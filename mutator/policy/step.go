package policy

import (
	"fmt"

	"github.com/distribution/reference"
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// The variables of a policy, in the order in which they build on each other. They
// are evaluated only where they are asked for.
//
// settings, settingsPath and parents say where serviceAccountName and podTemplate
// stand, and what has to be made before; tasks are the lists of steps that the run
// writes out, steps all their steps as package mutator sees them, and views the
// steps with the repositories of their images.

func runVariables() []admissionv1.Variable {
	const template = `object.kind == "PipelineRun" && object.apiVersion == "tekton.dev/v1"`
	return []admissionv1.Variable{
		{Name: "notes", Expression: field("object.metadata", "annotations", "{}")},
		{Name: "labels", Expression: field("object.metadata", "labels", "{}")},
		{Name: "settings", Expression: template + " ? " + field("object.spec", "taskRunTemplate", "{}") +
			" : object.spec"},
		{Name: "settingsPath", Expression: template + ` ? "/spec/taskRunTemplate" : "/spec"`},
		{Name: "parents", Expression: template +
			" && !(has(object.spec.taskRunTemplate) && object.spec.taskRunTemplate != null) ? [" +
			add("variables.settingsPath", "{}") + "] : []"},
		{Name: "podTemplate", Expression: field("variables.settings", "podTemplate", "{}")},
		{Name: "given", Expression: text("variables.settings", "serviceAccountName")},
		{Name: "owned", Expression: list("object.metadata", "ownerReferences") +
			`.exists(o, o.kind == "PipelineRun" && o.apiVersion.startsWith("tekton.dev/"))`},
	}
}

// taskVariables need runVariables, and the variable account.
func taskVariables() []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "pipeline", Expression: `object.kind == "PipelineRun" ? ` + field("object.spec", "pipelineSpec", "{}") +
			" : {}"},
		{Name: "tasks", Expression: taskRunTask() + " +\n" + pipelineRunTasks()},
	}
}

func taskRunTask() string {
	return `(object.kind == "TaskRun" && has(object.spec.taskSpec) && object.spec.taskSpec != null ? [{
  "path": dyn("/spec/taskSpec"),
  "spec": dyn(object.spec.taskSpec),
  "pods": dyn([variables.podTemplate]),
  "bindings": dyn(` + list("object.spec", "workspaces") + `),
  "known": dyn(true),
  "overrides": dyn(` + list("object.spec", "stepSpecs") + " + " + list("object.spec", "stepOverrides") + `),
  "resources": dyn(` + field("object.spec", "computeResources", "{}") + `),
  "account": dyn(variables.account)
}] : [])`
}

// pipelineRunTasks leaves out pipelines within the pipeline: CEL knows no recursion.
func pipelineRunTasks() string {
	const task = "variables.pipeline[l][i]"
	accounts := fmt.Sprintf("own.map(o, [%s, %s]).flatten().filter(a, a != \"\")", text("o", "serviceAccountName"),
		text("o", "taskServiceAccountName"))
	return `["tasks", "finally"].filter(l, l in variables.pipeline && variables.pipeline[l] != null).map(l,
  lists.range(size(variables.pipeline[l]))
  .filter(i, has(` + task + `.taskSpec) && ` + task + `.taskSpec != null && ` + text(task+".taskSpec", "apiVersion") + ` == "")
  .map(i, [` + list("object.spec", "taskRunSpecs") + `.filter(o, ` + text("o", "pipelineTaskName") + ` == ` + text(task, "name") + `)].map(own, {
    "path": dyn("/spec/pipelineSpec/" + l + "/" + string(i) + "/taskSpec"),
    "spec": dyn(` + task + `.taskSpec),
    "pods": dyn([variables.podTemplate] + own.map(o, ` + field("o", "podTemplate", "{}") + `) + own.map(o, ` + field("o", "taskPodTemplate", "{}") + `)),
    "bindings": dyn([]),
    "known": dyn(false),
    "overrides": dyn(own.map(o, ` + list("o", "stepSpecs") + " + " + list("o", "stepOverrides") + `).flatten()),
    "resources": dyn(size(own) > 0 ? ` + field("own[size(own) - 1]", "computeResources", "{}") + ` : {}),
    "account": dyn(size(` + accounts + `) > 0 ? ` + accounts + `[size(` + accounts + `) - 1] : variables.account)
  })[0])
).flatten()`
}

// stepVariables need taskVariables.
func stepVariables() []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "record", Expression: `"` + wellknown.OriginalImagesKey + `" in variables.notes ? variables.notes["` +
			wellknown.OriginalImagesKey + `"] : "{}"`},
		{Name: "originals", Expression: originals()},
		{Name: "steps", Expression: `variables.tasks.map(t, [` + field("t.spec", "stepTemplate", "{}") + `].map(p,
  lists.range(` + list("t.spec", "steps") + `.exists(s, s == null) ? 0 : size(` + list("t.spec", "steps") + `)).map(i, [t.spec.steps[i]].map(s, {
    "path": dyn(t.path + "/steps/" + string(i)),
    "task": dyn(t),
    "step": dyn(s),
    "template": dyn(p),
    "name": dyn(` + text("s", "name") + ` != "" ? s.name : "unnamed-" + string(i)),
    "image": dyn(` + text("s", "image") + ` != "" ? s.image : ` + text("p", "image") + `),
    "ref": dyn(has(s.ref) && s.ref != null),
    "closed": dyn((has(s.ref) && s.ref != null) || (has(s.env) && s.env == null)
      || (` + list("p", "env") + " + " + list("s", "env") + `).exists(e, e == null)
      || size(` + list("s", "envFrom") + `) + size(` + list("p", "envFrom") + `) > 0),
    "env": dyn((` + list("p", "env") + " + " + list("s", "env") + ` + t.pods.map(d, ` + list("d", "env") + `).flatten()).map(e, ` + text("e", "name") + `))
  })[0])
)[0]).flatten()`},
		{Name: "views", Expression: views()},
	}
}

// originalsForm is what mutator writes into the annotation of the original images,
// and what splits at quotes.
const originalsForm = `^\{("[^"\\]*":"[^"\\]*"(,"[^"\\]*":"[^"\\]*")*)?\}$`

// originals are the pairs of that annotation, in the order of the authors' images.
func originals() string {
	return `variables.record.matches(` + quote(originalsForm) + `) ? [variables.record.split("\"")].map(w,
  lists.range((size(w) - 1) / 4).map(i, {"author": w[4 * i + 1], "now": w[4 * i + 3]}))[0] : []`
}

// views normalises the images as distribution/reference does it: Docker Hub's short
// names are given their host, and "library/". An image that holds a parameter is
// unknown, and has no repository; nor has what is no image.
func views() string {
	return `variables.steps.map(s, [variables.originals.filter(o, o.now == s.image).map(o, dyn(o.author)) + [s.image]].map(k,
  [string(s.image.contains("$(") ? "" : k[0])].map(x, ` + normalised("x") + `.map(f, ` + repository("x", "f") + `.map(r, {
    "s": dyn(s),
    "unknown": dyn(s.image.contains("$(")),
    "repository": dyn(r),
    "living": dyn(` + living("r") + `)
  })[0])[0])[0])[0])`
}

// hosted begins a reference that names its host.
const hosted = `^(localhost|[^/]*[.:A-Z][^/]*)/`

// normalised returns a list of the one reference in full, which need not be a valid one.
func normalised(x string) string {
	return fmt.Sprintf(`[%[1]s.startsWith("index.docker.io/") ? "docker.io/" + %[1]s.substring(16) : (%[1]s.matches(%[2]s) ? %[1]s : "docker.io/" + %[1]s)]
    .map(h, h.matches("^docker\\.io/[^/]+$") ? "docker.io/library/" + h.substring(10) : h)`, x, quote(hosted))
}

// digests are those that distribution/reference takes.
const digests = `@(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$`

// repositoryOf cuts a reference before its tag.
const repositoryOf = `^(?:[^/]+/)*[^/:]+`

// repository returns a list of the one host and path of a reference in full, "" if
// it is none.
func repository(x, f string) string {
	return fmt.Sprintf(`[%[2]s.matches(%[3]s) && (!%[2]s.contains("@") || %[2]s.matches(%[4]s)) && !%[1]s.matches("^[a-f0-9]{64}$")
    ? %[2]s.split("@")[0].find(%[5]s) : ""]`, x, f, quote(reference.ReferenceRegexp.String()), quote(digests), quote(repositoryOf))
}

// living is the name under which an image of Tekton's old registry lives today, see
// image.Reference.Canonical.
func living(r string) string {
	return fmt.Sprintf(
		`%[1]s.matches("^(?:[^/]*\\.)?gcr\\.io/tekton-releases/") ? "ghcr.io/tektoncd/" + %[1]s.substring(%[1]s.indexOf("/tekton-releases/") + 17) : %[1]s`,
		r)
}
