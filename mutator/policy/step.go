package policy

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// The variables of a policy, in the order in which they build on each other. They
// are evaluated only where they are asked for.
//
// settings, settingsPath and parents say where serviceAccountName and podTemplate
// stand, and what has to be made before; tasks are the lists of steps that the object
// writes out, steps all their steps as package mutator sees them, and views the
// steps with the repositories of their images.

func objectVariables() []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "notes", Expression: field("object.metadata", "annotations", "{}")},
		{Name: "labels", Expression: field("object.metadata", "labels", "{}")},
	}
}

func runVariables() []admissionv1.Variable {
	const template = `object.kind == "PipelineRun" && object.apiVersion == "tekton.dev/v1"`
	return []admissionv1.Variable{
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
  "single": dyn(false),
  "spec": dyn(object.spec.taskSpec),
  "pods": dyn([variables.podTemplate]),
  "bindings": dyn(` + list("object.spec", "workspaces") + `),
  "known": dyn(true),
  "overrides": dyn(` + list("object.spec", "stepSpecs") + " + " + list("object.spec", "stepOverrides") + `),
  "resources": dyn(` + field("object.spec", "computeResources", "{}") + `),
  "account": dyn(variables.account)
}] : [])`
}

// inPipeline writes a list with an element for each task that a pipeline writes out. Made
// of variables.pipeline[l][i], the element is an expression. Pipelines within the pipeline
// are left out: CEL knows no recursion.
func inPipeline(element string) string {
	const task = "variables.pipeline[l][i]"
	return `["tasks", "finally"].filter(l, l in variables.pipeline && variables.pipeline[l] != null).map(l,
  lists.range(size(variables.pipeline[l]))
  .filter(i, has(` + task + `.taskSpec) && ` + task + `.taskSpec != null && ` + text(task+".taskSpec", "apiVersion") + ` == "")
  .map(i, ` + element + `)
).flatten()`
}

func pipelineRunTasks() string {
	const task = "variables.pipeline[l][i]"
	accounts := fmt.Sprintf("own.map(o, [%s, %s]).flatten().filter(a, a != \"\")", text("o", "serviceAccountName"),
		text("o", "taskServiceAccountName"))
	return inPipeline(`[` + list("object.spec", "taskRunSpecs") + `.filter(o, ` + text("o", "pipelineTaskName") + ` == ` + text(task, "name") + `)].map(own, {
    "path": dyn("/spec/pipelineSpec/" + l + "/" + string(i) + "/taskSpec"),
    "single": dyn(false),
    "spec": dyn(` + task + `.taskSpec),
    "pods": dyn([variables.podTemplate] + own.map(o, ` + field("o", "podTemplate", "{}") + `) + own.map(o, ` + field("o", "taskPodTemplate", "{}") + `)),
    "bindings": dyn([]),
    "known": dyn(false),
    "overrides": dyn(own.map(o, ` + list("o", "stepSpecs") + " + " + list("o", "stepOverrides") + `).flatten()),
    "resources": dyn(size(own) > 0 ? ` + field("own[size(own) - 1]", "computeResources", "{}") + ` : {}),
    "account": dyn(size(` + accounts + `) > 0 ? ` + accounts + `[size(` + accounts + `) - 1] : variables.account)
  })[0]`)
}

// resolvedTasks are those of a Task, a Pipeline or a StepAction. Nothing is known of the
// run. A StepAction is a task with a single step, which stands where the task does.
func resolvedTasks() admissionv1.Variable {
	task := func(path, single, spec string) string {
		return `{
    "path": dyn(` + path + `), "single": dyn(` + single + `), "spec": dyn(` + spec + `), "pods": dyn([]),
    "bindings": dyn([]), "known": dyn(false), "overrides": dyn([]), "resources": dyn({}), "account": dyn("")
  }`
	}
	pipeline := strings.ReplaceAll(inPipeline(task(`"/spec/" + l + "/" + string(i) + "/taskSpec"`, "false",
		"variables.pipeline[l][i].taskSpec")), "variables.pipeline", "object.spec")
	return admissionv1.Variable{Name: "tasks", Expression: fmt.Sprintf(
		`object.kind == "Task" ? [%s] : (object.kind == "StepAction" ? [%s] : %s)`,
		task(`"/spec"`, "false", "object.spec"), task(`"/spec"`, "true", `{"steps": [object.spec]}`), pipeline)}
}

// stepPath writes where the step i of the task t stands.
const stepPath = `t.path + (t.single ? "" : "/steps/" + string(i))`

// stepVariables need the variable tasks.
func stepVariables() []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "record", Expression: `"` + wellknown.OriginalImagesKey + `" in variables.notes ? variables.notes["` +
			wellknown.OriginalImagesKey + `"] : "{}"`},
		{Name: "originals", Expression: originals()},
		{Name: "steps", Expression: `variables.tasks.map(t, [` + field("t.spec", "stepTemplate", "{}") + `].map(p,
  lists.range(` + list("t.spec", "steps") + `.exists(s, s == null) ? 0 : size(` + list("t.spec", "steps") + `)).map(i, [t.spec.steps[i]].map(s, {
    "path": dyn(` + stepPath + `),
    "task": dyn(t),
    "step": dyn(s),
    "template": dyn(p),
    "name": dyn(t.single ? "step" : (` + text("s", "name") + ` != "" ? s.name : "unnamed-" + string(i))),
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
