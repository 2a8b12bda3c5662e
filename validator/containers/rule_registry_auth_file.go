package containers

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var registryAuthFileRule = &rule.Rule{
	ID:       "registry-auth-file",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds steps whose variable REGISTRY_AUTH_FILE keeps Tekton's registry credentials from
them. Tekton writes those to /tekton/creds/.docker/config.json. What a program makes of the
variable:

- buildah, podman and skopeo read this file and, in current releases, no other; those of
  Debian 12 read DOCKER_CONFIG after it. A folder is found, a file below /tekton/home, which
  has been empty since Tekton v0.24, and a file that nothing can have written: nothing is
  mounted there, and no command of the Task speaks of it or logs in;
- Kaniko, ko, crane and cosign read it only where neither DOCKER_CONFIG nor the home has a
  config.json, and Tekton writes one into the home as soon as the run's ServiceAccount has
  credentials for a registry;
- docker and buildctl never read it.

A step that also sets DOCKER_CONFIG passes, unless its program reads this file alone.`,
	Check: checkRegistryAuthFile,
}

func checkRegistryAuthFile(_ context.Context, p *rule.Pass) {
	for _, c := range stepsIn(p) {
		at, is := variableOf(p, c, "REGISTRY_AUTH_FILE")
		if !is || at.Value == "" || strings.Contains(at.Value, "$") {
			continue
		}
		if problem := authFileProblem(p, c, at.Value); problem != "" {
			p.Report(at.Path, "%s sets REGISTRY_AUTH_FILE to %.200q, %s", c.Unit, at.Value, problem)
		}
	}
}

func authFileProblem(p *rule.Pass, c container, file string) string {
	const remedy = "leave it out, or write /tekton/creds/.docker/config.json"
	reads, known := authFileOf(p, c)
	_, config := variableOf(p, c, "DOCKER_CONFIG")
	_, home := variableOf(p, c, "HOME")
	clean := path.Clean(file)
	switch {
	case known && reads.AuthFile == builder.AuthFileUnread && !config:
		return fmt.Sprintf("which %s does not read: set DOCKER_CONFIG to the folder of a config.json", reads.Name)
	case known && reads.AuthFile == builder.AuthFileLast && !config:
		return fmt.Sprintf("which %s reads only if there is no config.json in its home, and Tekton writes one there: "+
			"set DOCKER_CONFIG to the folder of a config.json", reads.Name)
	case known && reads.AuthFile != builder.AuthFileAlone:
		return ""
	case strings.HasSuffix(file, "/") || path.Base(clean) == ".docker":
		return "which is a folder, and has to be a file: write " + path.Join(clean, "config.json")
	case strings.HasPrefix(clean, "/tekton/home/") && !home:
		return "where Tekton has put nothing since v0.24: " + remedy
	case known && !mayExist(p, c, clean):
		return fmt.Sprintf("which nothing writes, and current releases of %s read no other file, "+
			"so that they do not find the credentials of the ServiceAccount: %s", reads.Name, remedy)
	}
	return ""
}

// authFileOf returns the builder that a step runs.
func authFileOf(p *rule.Pass, c container) (builder.Builder, bool) {
	var command []string
	for _, word := range wordsAt(c, "command") {
		command = append(command, word.Value)
	}
	i := slices.IndexFunc(builder.Known, func(b builder.Builder) bool { return b.Starts(command) })
	if i < 0 {
		ref, err := image.Parse(stepImage(p, c))
		if err != nil {
			return builder.Builder{}, false
		}
		i = slices.IndexFunc(builder.Known, func(b builder.Builder) bool { return b.Holds(ref) })
	}
	if i < 0 {
		return builder.Builder{}, false
	}
	return builder.Known[i], true
}

// variableOf returns the value of a variable that holds for a step: its run's podTemplate, the
// step or its stepTemplate sets it. One that comes from elsewhere has the value "".
func variableOf(p *rule.Pass, c container, name string) (found rule.Text, is bool) {
	var r object.Reader
	holders := []place{{Path: c.Task.Path + ".stepTemplate", Fields: c.Template}, c.place}
	for _, template := range c.Task.Run.PodTemplates {
		holders = append(holders, place{Fields: template})
	}
	for _, holder := range holders {
		for i, env := range r.FieldsList(holder.Fields, "env") {
			if r.Text(env, "name") != name {
				continue
			}
			found, is = rule.Text{Path: c.Path, Value: fill(p, c.Task, r.Text(env, "value"))}, true
			if holder.Path != "" {
				found.Path = fmt.Sprintf("%s.env[%d].value", holder.Path, i)
			}
		}
	}
	return found, is
}

// mayExist reports whether a file may be there when a step starts: Tekton writes it, a volume or
// workspace has it, or a step of the task speaks of it or logs in.
func mayExist(p *rule.Pass, c container, file string) bool {
	if strings.HasPrefix(file, "/tekton/") || strings.HasPrefix(file, "/workspace/") ||
		strings.HasSuffix(file, "/.docker/config.json") { // Tekton's copy in the home
		return true
	}
	return mounts(p, c, file) || writes(p, c, file)
}

// mounts reports whether a step mounts a file, or a folder that it is in.
func mounts(p *rule.Pass, c container, file string) bool {
	var r object.Reader
	for _, holder := range []map[string]any{c.Fields, c.Template, c.Task.Spec} {
		for _, mount := range append(r.FieldsList(holder, "volumeMounts"), r.FieldsList(holder, "workspaces")...) {
			at := fill(p, c.Task, r.Text(mount, "mountPath"))
			if strings.Contains(at, "$(") || at != "" && strings.HasPrefix(file+"/", path.Clean(at)+"/") {
				return true
			}
		}
	}
	return false
}

// writes reports whether a step of the task may write a file, going by what the steps say.
func writes(p *rule.Pass, c container, file string) bool {
	words := []string{path.Base(file), "login", "REGISTRY_AUTH_FILE"}
	steps, _ := c.Task.Steps()
	return slices.ContainsFunc(steps, func(step object.Step) bool {
		if step.Fields["ref"] != nil {
			return true
		}
		other := container{place: place{Path: step.Path, Fields: step.Fields}, Task: c.Task}
		return slices.ContainsFunc(programsOf(other), func(text rule.Text) bool {
			p.Step(1 + len(text.Value)/64)
			return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text.Value, word) })
		})
	})
}
