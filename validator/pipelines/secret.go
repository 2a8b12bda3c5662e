package pipelines

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// The keys of Secrets of the types that Kubernetes knows.
const (
	dockerConfigJSON = ".dockerconfigjson"
	dockerCfg        = ".dockercfg"
	sshPrivateKey    = "ssh-privatekey"
)

// isAdmission reports whether the object is about to be admitted. The server knows no Secret, so
// nothing else has to be looked up either.
func isAdmission(p *rule.Pass) bool { return p.Author != rule.Unknown }

// secretKeys returns the keys of a Secret in their order, nil for one that is not known.
func secretKeys(ctx context.Context, p *rule.Pass, name string) []string {
	if name == "" || p.Namespace == "" || expression.Any(name) || expression.Any(p.Namespace) {
		return nil
	}
	p.Step(1)
	keys, err := p.Cluster.Keys(ctx, p.Namespace, name)
	if err != nil {
		return nil
	}
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return keys
}

// isPullSecret reports whether the kubelet can use a Secret with these keys.
func isPullSecret(keys []string) bool {
	return slices.Contains(keys, dockerConfigJSON) || slices.Contains(keys, dockerCfg)
}

// registriesOf returns the hosts of a Secret with registry credentials. It reports false where
// they are not known: the Secret stands in no file, or names none.
func registriesOf(ctx context.Context, p *rule.Pass, name string) (hosts []string, known bool) {
	fields, err := p.Cluster.Get(ctx, schema.GroupKind{Kind: "Secret"}, p.Namespace, name)
	if err != nil || fields == nil {
		return nil, false
	}
	var r object.Reader
	text := []byte(r.Text(r.Fields(fields, "stringData"), dockerConfigJSON))
	if len(text) == 0 {
		if text, err = base64.StdEncoding.DecodeString(r.Text(r.Fields(fields, "data"), dockerConfigJSON)); err != nil {
			return nil, false
		}
	}
	var config struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal(text, &config) != nil {
		return nil, false
	}
	for address := range config.Auths {
		address = strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
		host, _, _ := strings.Cut(address, "/")
		hosts = append(hosts, host)
	}
	return hosts, len(hosts) > 0
}

// boundTask is a Task to which a run's workspace is bound.
type boundTask struct {
	spec map[string]any
	name string // of the workspace in the Task
}

// boundTasks returns the Tasks to which a run binds its workspace of a name, through Pipelines
// and by reference, as far as they are known.
func boundTasks(ctx context.Context, p *rule.Pass, workspace string) []boundTask {
	var found []boundTask
	for _, call := range resolvedCalls(ctx, p) {
		if call.Path == "spec" {
			found = append(found, follow(ctx, p, call.Kind, call.Target, workspace, mostNested)...)
		}
	}
	return found
}

// mostNested is how many Pipelines within one another are followed.
const mostNested = 5

func follow(ctx context.Context, p *rule.Pass, kind string, target map[string]any, workspace string, nested int,
) []boundTask {
	p.Step(1)
	if kind == "Task" {
		return []boundTask{{target, workspace}}
	}
	if nested == 0 {
		return nil
	}
	var found []boundTask
	for _, task := range (specification{Kind: "Pipeline", Fields: target}).tasks() {
		inner, whole := boundAs(task.Fields, workspace)
		if task.Custom || !whole {
			continue
		}
		for _, kind := range []string{"Task", "Pipeline"} {
			spec := calledBy(ctx, p, task.Fields, kind)
			for _, name := range inner {
				if spec != nil {
					found = append(found, follow(ctx, p, kind, spec, name, nested-1)...)
				}
			}
		}
	}
	return found
}

// calledBy returns the specification of a kind that a task of a Pipeline writes out or names, nil
// for none that is known.
func calledBy(ctx context.Context, p *rule.Pass, task map[string]any, kind string) map[string]any {
	var r object.Reader
	field := strings.ToLower(kind)
	name, local := localName(r.Fields(task, field+"Ref"), kind)
	if !local {
		return r.Fields(task, field+"Spec")
	}
	there, err := p.Cluster.Get(ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: kind}, p.Namespace, name)
	if err != nil {
		return nil
	}
	return r.Fields(there, "spec")
}

// boundAs returns the names by which a task of a Pipeline knows a workspace of it; whole is false
// for a part of the workspace. What a task that is written out does not bind propagates to it.
func boundAs(task map[string]any, workspace string) (inner []string, whole bool) {
	var r object.Reader
	bindings := r.FieldsList(task, "workspaces")
	for _, binding := range bindings {
		name, of := r.Text(binding, "name"), r.Text(binding, "workspace")
		if of == workspace || of == "" && name == workspace {
			if r.Text(binding, "subPath") != "" {
				return nil, false
			}
			inner = append(inner, name)
		}
	}
	if len(inner) == 0 && len(bindings) == 0 && (task["taskSpec"] != nil || task["pipelineSpec"] != nil) {
		inner = []string{workspace}
	}
	return inner, true
}

// uses is what the steps of a Task do with a workspace.
type uses struct {
	texts   []string   // commands, arguments and scripts, without quotes
	values  []string   // of variables
	names   references // the expression, and the variables that hold its value
	folders []string   // where it is mounted
}

func usesOf(p *rule.Pass, task boundTask) uses {
	var r object.Reader
	u := uses{names: references{"$(workspaces." + task.name + ".path)"}}
	for _, workspace := range r.FieldsList(task.spec, "workspaces") {
		if r.Text(workspace, "name") == task.name {
			u.folders = append(u.folders, r.Text(workspace, "mountPath"))
		}
	}
	steps := append(r.FieldsList(task.spec, "steps"), r.Fields(task.spec, "stepTemplate"))
	for _, step := range steps {
		for _, workspace := range r.FieldsList(step, "workspaces") {
			if r.Text(workspace, "name") == task.name {
				u.folders = append(u.folders, r.Text(workspace, "mountPath"))
			}
		}
		for _, variable := range r.FieldsList(step, "env") {
			name, value := r.Text(variable, "name"), r.Text(variable, "value")
			u.values = append(u.values, name+"="+strings.TrimSuffix(value, "/"))
			if strings.TrimSuffix(value, "/") == u.names[0] {
				u.names = append(u.names, "${"+name+"}", "$"+name)
			}
		}
	}
	for _, step := range steps {
		texts := append(r.TextList(step, "command"), r.TextList(step, "args")...)
		for _, text := range append(texts, r.Text(step, "script")) {
			p.Step(1 + len(text)/64)
			u.texts = append(u.texts, strings.NewReplacer(`"`, "", `'`, "").Replace(text))
		}
	}
	return u
}

// says reports whether a text has the path of the workspace with something after it.
func (u uses) says(after string) bool {
	return slices.ContainsFunc(u.texts, func(text string) bool { return u.names.in(text, "", after) })
}

// references are the ways in which steps write the path of a workspace.
type references []string

// in reports whether one of them stands in a text, with something before and after it.
func (list references) in(text, before, after string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return strings.Contains(text, before+name+after) })
}

// holdsDockerConfig reports whether the workspace is the folder of a config.json for builders. A
// step that knows the key of a pull secret may copy that.
func (u uses) holdsDockerConfig() bool {
	if slices.ContainsFunc(u.texts, func(text string) bool { return strings.Contains(text, dockerConfigJSON) }) {
		return false
	}
	return slices.ContainsFunc(u.folders, isDockerFolder) || slices.Contains(u.values, "DOCKER_CONFIG="+u.names[0]) ||
		u.says("/config.json") || u.sets("DOCKER_CONFIG")
}

// sets reports whether a text sets a variable to the path of the workspace.
func (u uses) sets(variable string) bool {
	return slices.ContainsFunc(u.texts, func(text string) bool { return u.names.in(text, variable+"=", "") })
}

// copiesToSSH reports whether the workspace's files become those of ~/.ssh.
func (u uses) copiesToSSH() bool {
	for _, text := range u.texts {
		for line := range strings.Lines(text) {
			copies := strings.Contains(line, "cp ") && strings.Contains(line, "/.ssh")
			if copies && u.names.in(line, "", " ") {
				return true
			}
		}
	}
	return slices.ContainsFunc(u.folders, func(folder string) bool { return path.Base(path.Clean(folder)) == ".ssh" })
}

func isDockerFolder(folder string) bool {
	return folder != "" && path.Base(path.Clean(folder)) == ".docker"
}
