package mutator

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

var dockerConfigRule = Rule{
	ID:    "docker-config",
	Kinds: taskRuns,
	Doc: `Sets the environment variable DOCKER_CONFIG in every step that runs Kaniko, so
that it finds the registry credentials of the TaskRun's ServiceAccount.

Tekton writes these credentials to /tekton/creds/.docker, while Kaniko's image
looks into /kaniko/.docker, and the push ends in UNAUTHORIZED
(tektoncd/pipeline#706, #7453). The value /tekton/home/.docker of older articles
has been empty since Tekton v0.24 (tektoncd/pipeline#3943), and what stands in
/root/.docker Kaniko deletes between the stages of a Dockerfile. /tekton/creds is
a mount, which Kaniko neither deletes nor puts into images.

Configured by ` + "`mutator.dockerConfig.path`" + `, by default /tekton/creds/.docker;
` + "`mutator.dockerConfig.disabled: true`" + ` switches the rule off.

A step runs Kaniko if its command is /kaniko/executor or /kaniko/warmer, or if
its image is one of Kaniko's repositories in any registry. What a step does not
say its stepTemplate says. An image that holds a parameter is unknown before the
run starts: then the command alone decides.

The rule knows the steps that the TaskRun writes out. A step is left alone if

- DOCKER_CONFIG is set already: in the step, its stepTemplate or the TaskRun's
  podTemplate, by value or from elsewhere, empty or not;
- it has envFrom, or its stepTemplate has, for that may set it;
- a volume or workspace is mounted where Kaniko's image looks, below it or above.
  A workspace that is optional and that the TaskRun does not bind does not count;
- its script, command or arguments speak of DOCKER_CONFIG or /kaniko/.docker;
- --kaniko-dir or KANIKO_DIR moves Kaniko, which then sets DOCKER_CONFIG itself.
  The answer has a warning, unless something is mounted there;
- it refers to a StepAction, beside which Tekton allows no env.

The answer also has a warning where a step sets DOCKER_CONFIG to a folder below
/tekton/home, since nothing fills that any more.`,
	Apply: applyDockerConfig,
}

func applyDockerConfig(_ context.Context, in Input) Effect {
	if in.Config.DockerConfig.Disabled {
		return Effect{}
	}
	task, isTask := object.TaskOf(in.Object)
	steps, isList := task.Steps()
	if !isTask || !isList {
		return Effect{}
	}
	var effect Effect
	var done []string
	for _, step := range steps {
		build, ok := readBuild(task, step)
		if !ok || !isKaniko(build.image, build.command) {
			continue
		}
		if warning := build.warning(); warning != "" {
			effect.Warnings = append(effect.Warnings, fmt.Sprintf("%s, step %q: %s", step.Path, step.Name(), warning))
		}
		if build.free() {
			setVariable(step, in.Config.DockerConfig.Path)
			done = append(done, step.Name())
		}
	}
	if len(done) > 0 {
		effect.Did = "set DOCKER_CONFIG in " + strings.Join(done, ", ")
	}
	return effect
}

// setVariable appends, since an entry may refer to those before it.
func setVariable(step object.Step, value string) {
	env, _ := step.Fields["env"].([]any)
	entry := map[string]any{"name": "DOCKER_CONFIG", "value": value}
	step.Fields["env"] = append(slices.Clip(env), entry)
}

// build is what decides about one step: the step as Tekton will merge it with
// its stepTemplate and podTemplate.
type build struct {
	image   string
	command []string
	words   []string         // command and arguments
	script  string           // what Tekton runs instead of a command
	env     []map[string]any // of all three, the one that wins last
	mounts  []string         // paths of its volumes and workspaces
	opaque  bool             // whether it is defined elsewhere, or takes variables from there
	legacy  bool             // whether a git PipelineResource may set HOME, as before v0.44
}

// readBuild reports false if any of it is not of the shape that Tekton takes.
func readBuild(task object.Task, step object.Step) (build, bool) {
	var r object.Reader
	own, template := step.Fields, r.Fields(task.Spec, "stepTemplate")
	b := build{
		image:   r.Text(own, "image"),
		command: r.TextList(own, "command"),
		script:  r.Text(own, "script"),
		opaque:  own["ref"] != nil || len(r.List(own, "envFrom"))+len(r.List(template, "envFrom")) > 0,
		legacy:  task.Spec["resources"] != nil,
	}
	if b.image == "" {
		b.image = r.Text(template, "image")
	}
	if len(b.command) == 0 {
		b.command = r.TextList(template, "command")
	}
	args := r.TextList(own, "args")
	if len(args) == 0 {
		args = r.TextList(template, "args")
	}
	b.words = slices.Concat(b.command, args)
	b.env = slices.Concat(r.FieldsList(template, "env"), r.FieldsList(own, "env"), r.FieldsList(task.PodTemplate, "env"))
	for _, mount := range slices.Concat(r.FieldsList(template, "volumeMounts"), r.FieldsList(own, "volumeMounts")) {
		b.mounts = append(b.mounts, r.Text(mount, "mountPath"))
	}
	b.mounts = append(b.mounts, workspacePaths(&r, task, step)...)
	_, explicitNull := own["env"]
	return b, !r.Odd && (own["env"] != nil || !explicitNull)
}

// workspacePaths returns where the workspaces are mounted that say so. The
// default, /workspace and a name, is never where Kaniko looks. Tekton binds each
// workspace that is not optional, if need be to the cluster's default.
func workspacePaths(r *object.Reader, task object.Task, step object.Step) []string {
	var paths []string
	absent := map[string]bool{}
	for _, workspace := range r.FieldsList(task.Spec, "workspaces") {
		name := r.Text(workspace, "name")
		bound := slices.ContainsFunc(task.Bindings, func(b map[string]any) bool { return b["name"] == name })
		absent[name] = r.Flag(workspace, "optional") && !bound
		if mount := r.Text(workspace, "mountPath"); mount != "" && !absent[name] {
			paths = append(paths, mount)
		}
	}
	for _, usage := range r.FieldsList(step.Fields, "workspaces") {
		if mount := r.Text(usage, "mountPath"); mount != "" && !absent[r.Text(usage, "name")] {
			paths = append(paths, mount)
		}
	}
	return paths
}

// decisions are words in a script or command that decide about credentials.
var decisions = []string{"DOCKER_CONFIG", "/kaniko/.docker", "KANIKO_DIR", "--kaniko-dir"}

// free tells whether nobody has decided where this step finds its credentials.
func (b build) free() bool {
	if _, moved := kanikoDir(b.words, b.env); moved || b.opaque || variable(b.env, "DOCKER_CONFIG") != nil {
		return false
	}
	said := strings.Join(append(slices.Clip(b.words), b.script), "\n")
	decided := func(word string) bool { return strings.Contains(said, word) }
	return !slices.ContainsFunc(decisions, decided) && !slices.ContainsFunc(kanikoConfigs, b.mounted)
}

// mounted tells whether a volume or workspace supplies the folder dir.
func (b build) mounted(dir string) bool {
	return slices.ContainsFunc(b.mounts, func(mount string) bool { return hidesConfig(dir, mount) })
}

// warning says why Kaniko will not find credentials in spite of what the author
// wrote, or "".
func (b build) warning() string {
	if dir, moved := kanikoDir(b.words, b.env); moved && dir != "" && !b.opaque && !b.mounted(path.Join(dir, ".docker")) {
		return fmt.Sprintf("--kaniko-dir or KANIKO_DIR makes Kaniko look for credentials in %q, "+
			"where Tekton puts none: leave it out, or mount a config.json there", path.Join(dir, ".docker"))
	}
	value, _ := variable(b.env, "DOCKER_CONFIG")["value"].(string)
	if within("/tekton/home", path.Clean(value)) && !b.legacy && variable(b.env, "HOME") == nil {
		return fmt.Sprintf("DOCKER_CONFIG is %q, where Tekton has put no credentials since v0.24: "+
			"leave it out, or set it to /tekton/creds/.docker", value)
	}
	return ""
}
