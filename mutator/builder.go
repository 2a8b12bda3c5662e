package mutator

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
)

// builder is a program that builds or pushes images and reads the credentials of
// the docker command line.
type builder struct {
	name string
	// commands start it: a path, or a name in any folder.
	commands []string
	// repositories are the ends, by whole components, of the repositories that
	// hold its images. Mirrors put hosts and projects before them.
	//
	// A repository that is merely called after the program is not enough:
	// plugins/kaniko, for one, writes its own credentials to /kaniko/.docker
	// before it starts Kaniko.
	repositories []string
	// origins are repositories as their projects publish them. Where a mirror has them
	// they may be called after neither project nor program.
	origins  []string
	onMirror []string        // what the mirror makes of the origins
	patterns []image.Pattern // of the configuration, and of those on the mirror
	// configs are the folders where it looks as long as nobody says otherwise.
	configs []string
}

// kanikoName marks the builder that has rules of its own.
const kanikoName = "kaniko"

// builders are those that Tekgate knows. All of them take DOCKER_CONFIG: Kaniko,
// ko, crane and cosign through go-containerregistry's keychain; buildah, podman
// and skopeo through containers/image, unless REGISTRY_AUTH_FILE is set
// (pkg/docker/config/config.go, v5.36); buildctl and docker through docker's own
// configuration.
var builders = []builder{
	{
		name:         kanikoName,
		commands:     kaniko.Commands,
		repositories: slices.Concat(kaniko.Upstream, kaniko.Rebuilt),
		origins:      kaniko.Origins,
		// The slim images have no DOCKER_CONFIG, and look into the home of root.
		configs: []string{"/kaniko/.docker", "/root/.docker"},
	},
	{
		name: "buildah", commands: []string{"buildah"}, configs: homes,
		repositories: []string{"buildah/stable", "buildah/upstream", "containers/buildah"},
		origins:      []string{"quay.io/buildah/stable", "quay.io/containers/buildah"},
	},
	{
		name: "podman", commands: []string{"podman"}, configs: homes,
		repositories: []string{"podman/stable", "podman/upstream", "containers/podman"},
		origins:      []string{"quay.io/podman/stable", "quay.io/containers/podman"},
	},
	{
		name: "skopeo", commands: []string{"skopeo"}, configs: homes,
		repositories: []string{"skopeo/stable", "skopeo/upstream", "containers/skopeo"},
		origins:      []string{"quay.io/skopeo/stable", "quay.io/containers/skopeo"},
	},
	{
		name: "ko", commands: []string{"ko"}, configs: homes,
		repositories: []string{"ko-build/ko"},
		origins:      []string{"ghcr.io/ko-build/ko"},
	},
	{
		name: "crane", commands: []string{"crane", "gcrane"}, configs: homes,
		repositories: []string{"go-containerregistry/crane", "go-containerregistry/gcrane"},
		origins:      []string{"gcr.io/go-containerregistry/crane", "gcr.io/go-containerregistry/gcrane"},
	},
	{
		name: "cosign", commands: []string{"cosign"}, configs: homes,
		repositories: []string{"sigstore/cosign", "sigstore/cosign/cosign", "projectsigstore/cosign"},
		origins:      []string{"gcr.io/projectsigstore/cosign", "ghcr.io/sigstore/cosign/cosign"},
	},
	{
		name: "buildctl", commands: []string{"buildctl", "buildctl-daemonless.sh"}, configs: homes,
		repositories: []string{"moby/buildkit"},
		origins:      []string{"docker.io/moby/buildkit"},
	},
	{
		name: "docker", commands: []string{"docker"}, configs: homes,
		repositories: []string{"library/docker"},
		origins:      []string{"docker.io/library/docker"},
	},
}

// onMirror returns the builders with the names that their images have on a mirror.
func onMirror(builders []builder, mirror *image.Rules) []builder {
	if mirror == nil {
		return builders
	}
	builders = slices.Clone(builders)
	for i := range builders {
		b := &builders[i]
		b.patterns, b.onMirror = slices.Clone(b.patterns), nil
		for _, origin := range b.origins {
			ref, err := image.Parse(origin)
			if err != nil {
				panic(fmt.Sprintf("the builder %s comes from %q: %v", b.name, origin, err)) // a constant
			}
			done, err := mirror.Rewrite(ref)
			if err != nil || done.To == ref { // no rule applies to it, or it is kept
				continue
			}
			if pattern, err := image.CompilePattern(done.To.Repository()); err == nil {
				b.patterns, b.onMirror = append(b.patterns, pattern), append(b.onMirror, done.To.Repository())
			}
		}
	}
	return builders
}

var homes = []string{"/root/.docker"}

// builds returns the builder that a step runs, nil for none. An image that is
// not known before the run starts leaves the command alone to decide.
func (s *settings) builds(v *view) *builder {
	for i := range s.builders {
		if s.builders[i].starts(v.command) {
			return &s.builders[i]
		}
	}
	return s.image(v.known).builder
}

func (b *builder) starts(command []string) bool {
	if len(command) == 0 {
		return false
	}
	program := path.Clean(command[0])
	return slices.ContainsFunc(b.commands, func(known string) bool {
		return program == known || !strings.Contains(known, "/") && path.Base(program) == known
	})
}

func (b *builder) holds(ref image.Reference) bool {
	repository := "/" + ref.Path
	return image.MatchAny(b.patterns, ref) || slices.ContainsFunc(b.repositories, func(end string) bool {
		return strings.HasSuffix(repository, "/"+end)
	})
}

// kanikoDir returns the folder that --kaniko-dir or KANIKO_DIR make Kaniko move
// to, and whether there is such a setting. The folder is "" where it is not
// known, since it comes from a parameter or another object.
//
// Having moved, Kaniko sets DOCKER_CONFIG itself, to .docker in that folder.
func (v *view) kanikoDir() (dir string, moved bool) {
	const flag = "--kaniko-dir"
	words := slices.Concat(v.command, v.args)
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
	if entry := v.variable("KANIKO_DIR"); entry != nil && !moved {
		dir, _ = entry["value"].(string)
		moved = true
	}
	if isVariable(dir) {
		dir = ""
	}
	return dir, moved
}
