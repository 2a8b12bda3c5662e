package mutator

import (
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// kanikoCommands are the programs in Kaniko's images.
var kanikoCommands = []string{"/kaniko/executor", "/kaniko/warmer"}

// kanikoRepositories are the ends, by whole components, of the repositories
// that hold Kaniko's images. Mirrors put hosts and projects before them.
//
// A repository that is merely called kaniko is not enough: plugins/kaniko, for
// one, writes its own credentials to /kaniko/.docker before it starts Kaniko.
var kanikoRepositories = []string{
	"kaniko-project/executor", "kaniko-project/warmer",
	"kaniko/executor", "kaniko/warmer",
	"kaniko-executor", "kaniko-warmer",
	"kaniko-project-executor", "kaniko-project-warmer",
	"osscontainertools/kaniko", "osscontainertools/kaniko-warmer",
	"martizih/kaniko", "bitnami/kaniko", "bitnamilegacy/kaniko", "chainguard/kaniko",
}

// kanikoConfigs are the folders where Kaniko's images look for config.json as
// long as nobody says otherwise: the slim ones have no DOCKER_CONFIG, and look
// into the home of root.
var kanikoConfigs = []string{"/kaniko/.docker", "/root/.docker"}

// isKaniko tells whether a container runs Kaniko. An image that holds a
// parameter is unknown before the run starts, so the command alone decides.
func isKaniko(image string, command []string) bool {
	if len(command) > 0 && slices.Contains(kanikoCommands, path.Clean(command[0])) {
		return true
	}
	if isVariable(image) {
		return false
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return false
	}
	repository := "/" + reference.Path(named)
	return slices.ContainsFunc(kanikoRepositories, func(end string) bool {
		return strings.HasSuffix(repository, "/"+end)
	})
}

// hidesConfig tells whether something mounted at mountPath supplies the folder
// dir, a part of it or a folder above it. Where a parameter hides the path, what
// stands before the parameter must rule that out.
func hidesConfig(dir, mountPath string) bool {
	known, _, parameter := strings.Cut("/"+strings.TrimPrefix(mountPath, "/"), "$(")
	if parameter {
		return strings.HasPrefix(dir, known) || strings.HasPrefix(known, dir+"/")
	}
	mount := path.Clean("/" + mountPath)
	return within(mount, dir) || within(dir, mount)
}

// kanikoDir returns the folder that --kaniko-dir or KANIKO_DIR make Kaniko move
// to, and whether there is such a setting. The folder is "" where it is not
// known, since it comes from a parameter or another object.
//
// Having moved, Kaniko sets DOCKER_CONFIG itself, to .docker in that folder.
func kanikoDir(words []string, env []map[string]any) (dir string, moved bool) {
	const flag = "--kaniko-dir"
	for i, word := range words {
		name, value, joined := strings.Cut(word, "=")
		if name != flag {
			continue
		}
		if !joined && i+1 < len(words) {
			value = words[i+1]
		}
		dir, moved = value, true
	}
	if entry := variable(env, "KANIKO_DIR"); entry != nil && !moved {
		dir, _ = entry["value"].(string)
		moved = true
	}
	if isVariable(dir) {
		dir = ""
	}
	return dir, moved
}

// variable returns the entry of env that counts, the last one of that name.
func variable(env []map[string]any, name string) map[string]any {
	for _, entry := range slices.Backward(env) {
		if entry["name"] == name {
			return entry
		}
	}
	return nil
}

// isVariable tells whether Tekton or Kubernetes will substitute something.
func isVariable(text string) bool { return strings.Contains(text, "$(") }
