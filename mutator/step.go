package mutator

import (
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

// view is a step as Tekton will merge it with its stepTemplate and podTemplate.
type view struct {
	task object.Task
	step object.Step

	image string // as written, in the step or its template; "" where there is none
	// filled is image with its parameters filled in, "" where one is not known.
	filled string
	// known is the image that will run, under the name that its author gave it:
	// parameters filled in as far as they are known. "" means unknown.
	known string
	// certain tells whether known holds for every run: a parameter of a Task may
	// be given another value.
	certain bool

	command    []string // of the step or its template
	ownCommand bool     // whether the step itself has it
	args       []string
	script     string
	scripted   bool             // whether a script runs in place of the command
	env        []map[string]any // of all three, the one that wins last
	mounts     []string         // paths of its volumes and workspaces
	envFrom    bool             // whether variables come from elsewhere
	ref        bool             // whether a StepAction defines it
	odd        bool             // whether it is not of the shape that Tekton takes

	named string // see place
}

// place names the step to people.
func (v *view) place() string {
	if v.named == "" {
		v.named = v.step.Path + `, step "` + v.step.Name() + `"`
	}
	return v.named
}

// read fills a view in, and reports odd JSON in it.
func (p *pass) read(v *view, task object.Task, step object.Step) {
	var r object.Reader
	own, template := step.Fields, task.Template(&r)
	*v = view{
		task: task, step: step,
		image:   r.Text(own, "image"),
		ref:     own["ref"] != nil,
		envFrom: len(r.List(own, "envFrom"))+len(r.List(template, "envFrom")) > 0,
	}
	v.command, v.args = step.Program(&r)
	v.script, v.scripted = step.Script(&r)
	v.ownCommand = len(v.command) > 0
	if v.image == "" {
		v.image = r.Text(template, "image")
	}
	if len(v.command) == 0 {
		v.command = r.TextList(template, "command")
	}
	if len(v.args) == 0 {
		v.args = r.TextList(template, "args")
	}
	v.env = readEnv(&r, task, own, template)
	v.mounts = readMounts(&r, task, step, template)
	v.filled, v.certain = fillImage(task, v.image)
	v.known = p.author(v.filled)
	v.odd = r.Odd
}

func readEnv(r *object.Reader, task object.Task, own, template map[string]any) []map[string]any {
	const more = 4 // that rules may add
	env := make([]map[string]any, 0, len(r.List(template, "env"))+len(r.List(own, "env"))+more)
	env = r.AppendFieldsList(r.AppendFieldsList(env, template, "env"), own, "env")
	for _, pod := range task.Run.PodTemplates {
		env = r.AppendFieldsList(env, pod, "env")
	}
	return env
}

func readMounts(r *object.Reader, task object.Task, step object.Step, template map[string]any) []string {
	var paths []string
	for _, holder := range [...]map[string]any{template, step.Fields} {
		for _, mount := range r.FieldsList(holder, "volumeMounts") {
			paths = append(paths, r.Text(mount, "mountPath"))
		}
	}
	return append(paths, workspacePaths(r, task, step)...)
}

// workspacePaths returns where the workspaces are mounted that say so. The
// default, /workspace and a name, is never where a builder looks. Tekton binds
// each workspace that is not optional, if need be to the cluster's default.
func workspacePaths(r *object.Reader, task object.Task, step object.Step) []string {
	var paths []string
	if task.InPod() {
		return nil
	}
	absent := map[string]bool{}
	for _, workspace := range r.FieldsList(task.Spec, "workspaces") {
		name := r.Text(workspace, "name")
		bound := slices.ContainsFunc(task.Run.Bindings, func(b map[string]any) bool { return b["name"] == name })
		absent[name] = task.Run.Known && r.Flag(workspace, "optional") && !bound
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

// fillImage fills parameters in. What a pipeline's results or context decide is
// unknown.
func fillImage(task object.Task, written string) (filled string, certain bool) {
	if !isVariable(written) {
		return written, true
	}
	filled = task.Fill(written)
	if isVariable(filled) {
		filled = ""
	}
	return filled, task.Run.Known && filled != ""
}

// variable returns the entry of the environment that counts, the last of that
// name.
func (v *view) variable(name string) map[string]any {
	for _, entry := range slices.Backward(v.env) {
		if entry["name"] == name {
			return entry
		}
	}
	return nil
}

// closed says why no variable can be added to a step, or "".
func (v *view) closed() string {
	_, explicitNull := v.step.Fields["env"]
	switch {
	case v.ref:
		return "a StepAction defines it, beside which Tekton allows no env"
	case explicitNull && v.step.Fields["env"] == nil:
		return "its env is null"
	case v.envFrom:
		return "it has envFrom, which may set the variable"
	}
	return ""
}

// add appends a variable, since an entry may refer to those before it. Nobody edits
// an entry, so those of the configuration need no copies.
func (v *view) add(entry map[string]any) {
	env, _ := v.step.Fields["env"].([]any)
	v.step.Fields["env"] = append(slices.Clip(env), entry)
	v.env = append(v.env, entry)
}

// ownValue returns the value of a variable that the step itself sets, once and as text.
func (v *view) ownValue(name string) (value string, is bool) {
	env, _ := v.step.Fields["env"].([]any)
	found := 0
	for _, entry := range env {
		if fields, _ := entry.(map[string]any); fields["name"] == name {
			value, is = fields["value"].(string)
			found++
		}
	}
	return value, is && found == 1
}

// replace puts an entry in the place of a variable of the step itself; nil removes it.
func (v *view) replace(name string, entry map[string]any) {
	env, _ := v.step.Fields["env"].([]any)
	kept := make([]any, 0, len(env))
	for _, old := range env {
		fields, _ := old.(map[string]any)
		switch {
		case fields["name"] != name:
			kept = append(kept, old)
		case entry != nil:
			kept = append(kept, entry)
		}
	}
	if v.step.Fields["env"] = kept; len(kept) == 0 {
		delete(v.step.Fields, "env")
	}
	v.env = slices.DeleteFunc(v.env, func(e map[string]any) bool { return e["name"] == name })
	if entry != nil {
		v.env = append(v.env, entry)
	}
}

// says tells whether one of the words stands in what the step runs.
func (v *view) says(words []string) string {
	for _, texts := range [...][]string{{v.script}, v.command, v.args} {
		for _, text := range texts {
			for _, word := range words {
				if strings.Contains(text, word) {
					return word
				}
			}
		}
	}
	return ""
}

// mounted tells whether a volume or workspace supplies the folder dir, a part of
// it or a folder above it. Where a parameter hides a path, what stands before the
// parameter must rule that out.
func (v *view) mounted(dir string) bool {
	return slices.ContainsFunc(v.mounts, func(mountPath string) bool {
		known, _, parameter := strings.Cut("/"+strings.TrimPrefix(mountPath, "/"), "$(")
		if parameter {
			return strings.HasPrefix(dir, known) || strings.HasPrefix(known, dir+"/")
		}
		mount := path.Clean("/" + mountPath)
		return within(mount, dir) || within(dir, mount)
	})
}

const (
	kanikoDirFlag     = "--kaniko-dir"
	kanikoDirVariable = "KANIKO_DIR"
)

// kanikoDir returns the folder that --kaniko-dir or KANIKO_DIR make Kaniko move
// to, and whether there is such a setting. The folder is "" where it is not
// known, since it comes from a parameter or another object.
//
// Having moved, most releases set DOCKER_CONFIG to .docker in that folder: see
// kaniko.MovedDockerConfig.
func (v *view) kanikoDir() (dir string, moved bool) {
	words := slices.Concat(v.command, v.args)
	for i, word := range words {
		name, value, joined := strings.Cut(word, "=")
		if name != kanikoDirFlag {
			continue
		}
		if !joined && i+1 < len(words) {
			value = words[i+1]
		}
		dir, moved = value, true
	}
	if entry := v.variable(kanikoDirVariable); entry != nil && !moved {
		dir, _ = entry["value"].(string)
		moved = true
	}
	if isVariable(dir) {
		dir = ""
	}
	return dir, moved
}

// isVariable tells whether Tekton or Kubernetes will substitute something.
func isVariable(text string) bool { return strings.Contains(text, "$(") }
