// Package builder knows the programs that build or push images: how a step starts each,
// which images hold it, and where it looks for credentials.
package builder

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
)

// Builder is a program that builds or pushes images and reads the credentials of
// the docker command line.
type Builder struct {
	Name string
	// Commands start it: a path, or a name in any folder.
	Commands []string
	// Repositories are the ends, by whole components, of the repositories that
	// hold its images. Mirrors put hosts and projects before them.
	//
	// A repository that is merely called after the program is not enough:
	// plugins/kaniko, for one, writes its own credentials to /kaniko/.docker
	// before it starts Kaniko.
	Repositories []string
	// origins are repositories as their projects publish them. Where a mirror has them
	// they may be called after neither project nor program.
	origins  []string
	OnMirror []string        // what the mirror makes of the origins: host and path; among Patterns, too
	Patterns []image.Pattern // of the configuration, and of those on the mirror
	// Configs are the folders and files where it looks as long as nobody says otherwise.
	Configs []string
	// AuthFile is what it makes of the variable REGISTRY_AUTH_FILE.
	AuthFile AuthFile
	// SetsAuthFile says that its images set that variable, so that DOCKER_CONFIG is not enough.
	SetsAuthFile bool
}

// AuthFile is what a program makes of the variable REGISTRY_AUTH_FILE.
type AuthFile int

const (
	// AuthFileUnread does not read it: docker and buildctl.
	AuthFileUnread AuthFile = iota
	// AuthFileAlone takes it for --authfile. containers/image then reads this file alone;
	// that of Debian 12 (skopeo 1.9.3, podman 4.3.1) reads DOCKER_CONFIG after it.
	AuthFileAlone
	// AuthFileLast reads it only if neither $HOME/.docker nor DOCKER_CONFIG has a config.json
	// (pkg/authn of go-containerregistry, v0.22.1). Tekton writes one into the home.
	AuthFileLast
)

// Kaniko is the name of the builder that has a rule of its own.
const Kaniko = "kaniko"

// Known are the builders that Tekgate knows. All of them take DOCKER_CONFIG: Kaniko,
// ko, crane and cosign through go-containerregistry's keychain; buildah, podman
// and skopeo through containers/image; buildctl and docker through docker's own
// configuration.
var Known = []Builder{
	{
		Name:         Kaniko,
		Commands:     kaniko.Commands,
		Repositories: slices.Concat(kaniko.Upstream, kaniko.Rebuilt),
		origins:      kaniko.Origins,
		// The slim images have no DOCKER_CONFIG, and look into the home of root.
		Configs:  []string{"/kaniko/.docker", "/root/.docker"},
		AuthFile: AuthFileLast,
	},
	{
		Name: "buildah", Commands: []string{"buildah"}, Configs: containersHomes, AuthFile: AuthFileAlone,
		Repositories: []string{"buildah/stable", "buildah/upstream", "containers/buildah"},
		origins:      []string{"quay.io/buildah/stable", "quay.io/containers/buildah"},
	},
	{
		Name: "podman", Commands: []string{"podman"}, Configs: containersHomes, AuthFile: AuthFileAlone,
		Repositories: []string{"podman/stable", "podman/upstream", "containers/podman"},
		origins:      []string{"quay.io/podman/stable", "quay.io/containers/podman"},
	},
	{
		// Its images have REGISTRY_AUTH_FILE=/tmp/auth.json, older ones /auth.json
		// (skopeo/Containerfile of containers/image_build).
		Name: "skopeo", Commands: []string{"skopeo"}, AuthFile: AuthFileAlone, SetsAuthFile: true,
		Configs:      append(slices.Clip(containersHomes), "/tmp/auth.json", "/auth.json"),
		Repositories: []string{"skopeo/stable", "skopeo/upstream", "containers/skopeo"},
		origins:      []string{"quay.io/skopeo/stable", "quay.io/containers/skopeo"},
	},
	{
		Name: "ko", Commands: []string{"ko"}, Configs: Homes, AuthFile: AuthFileLast,
		Repositories: []string{"ko-build/ko"},
		origins:      []string{"ghcr.io/ko-build/ko"},
	},
	{
		Name: "crane", Commands: []string{"crane", "gcrane"}, Configs: Homes, AuthFile: AuthFileLast,
		Repositories: []string{"go-containerregistry/crane", "go-containerregistry/gcrane"},
		origins:      []string{"gcr.io/go-containerregistry/crane", "gcr.io/go-containerregistry/gcrane"},
	},
	{
		Name: "cosign", Commands: []string{"cosign"}, Configs: Homes, AuthFile: AuthFileLast,
		Repositories: []string{"sigstore/cosign", "sigstore/cosign/cosign", "projectsigstore/cosign"},
		origins:      []string{"gcr.io/projectsigstore/cosign", "ghcr.io/sigstore/cosign/cosign"},
	},
	{
		Name: "buildctl", Commands: []string{"buildctl", "buildctl-daemonless.sh"}, Configs: Homes,
		Repositories: []string{"moby/buildkit"},
		origins:      []string{"docker.io/moby/buildkit"},
	},
	{
		Name: "docker", Commands: []string{"docker"}, Configs: Homes,
		Repositories: []string{"library/docker"},
		origins:      []string{"docker.io/library/docker"},
	},
}

// WithMirror returns the builders with the names that their images have on a mirror, and on
// those before it.
func WithMirror(builders []Builder, mirror *image.Rules) []Builder {
	if mirror == nil {
		return builders
	}
	builders = slices.Clone(builders)
	for i := range builders {
		b := &builders[i]
		b.Patterns, b.OnMirror = slices.Clone(b.Patterns), nil
		for _, rules := range append([]*image.Rules{mirror}, mirror.Former()...) {
			b.addMirror(rules)
		}
	}
	return builders
}

func (b *Builder) addMirror(mirror *image.Rules) {
	for _, origin := range b.origins {
		ref, err := image.Parse(origin)
		if err != nil {
			panic(fmt.Sprintf("the builder %s comes from %q: %v", b.Name, origin, err)) // a constant
		}
		done, err := mirror.Rewrite(ref)
		if err != nil || done.To == ref { // no rule applies to it, or it is kept
			continue
		}
		if pattern, err := image.CompilePattern(done.To.Repository()); err == nil {
			b.Patterns, b.OnMirror = append(b.Patterns, pattern), append(b.OnMirror, done.To.Repository())
		}
	}
}

// Homes are the folders where a program looks that runs as root.
var Homes = []string{"/root/.docker"}

// containersHomes are those of containers/image, which looks into the first two before
// DOCKER_CONFIG. buildah 1.28 and podman 4.3 read DOCKER_CONFIG alone.
var containersHomes = []string{"/run/containers/0", "/root/.config/containers", "/root/.docker"}

// Starts tells whether a command starts the builder.
func (b *Builder) Starts(command []string) bool {
	if len(command) == 0 {
		return false
	}
	program := path.Clean(command[0])
	return slices.ContainsFunc(b.Commands, func(known string) bool {
		return program == known || !strings.Contains(known, "/") && path.Base(program) == known
	})
}

// Holds tells whether the builder is in an image, going by its name.
func (b *Builder) Holds(ref image.Reference) bool {
	repository := "/" + ref.Path
	return image.MatchAny(b.Patterns, ref) || slices.ContainsFunc(b.Repositories, func(end string) bool {
		return strings.HasSuffix(repository, "/"+end)
	})
}

// Expressions returns the patterns as regular expressions of host and path.
func (b *Builder) Expressions() []string {
	var out []string
	for _, pattern := range b.Patterns {
		out = append(out, pattern.String())
	}
	return out
}
