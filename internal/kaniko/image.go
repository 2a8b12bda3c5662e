package kaniko

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/tekgate/tekgate/internal/image"
)

// The programs that its images start.
const (
	Executor = "/kaniko/executor"
	Warmer   = "/kaniko/warmer"
)

// Commands are these programs.
var Commands = []string{Executor, Warmer}

// Program returns what an image of Kaniko starts, or "" if that is not certain. Repositories such
// as osscontainertools/kaniko have warmers beside executors, and only a tag tells them apart.
func Program(ref image.Reference) string {
	switch name := path.Base(ref.Path); {
	case strings.HasSuffix(name, "warmer"), ref.Tag == "warmer", strings.HasSuffix(ref.Tag, "-warmer"):
		return Warmer
	case ref.DigestAlone() && !strings.HasSuffix(name, "executor"):
		return ""
	}
	return Executor
}

// Upstream are the ends, by whole components, of the repositories whose images
// start Kaniko by the path that they have had from the first release on. Mirrors
// put hosts and projects before them.
var Upstream = []string{
	"kaniko-project/executor", "kaniko-project/warmer", "kaniko/executor", "kaniko/warmer",
	"kaniko-executor", "kaniko-warmer", "kaniko-project-executor", "kaniko-project-warmer",
	"osscontainertools/kaniko", "osscontainertools/kaniko-warmer", "martizih/kaniko",
}

// Origins are the repositories that Kaniko's projects publish such images in.
var Origins = []string{
	"gcr.io/kaniko-project/executor", "gcr.io/kaniko-project/warmer",
	"ghcr.io/osscontainertools/kaniko", "ghcr.io/osscontainertools/kaniko-warmer", "docker.io/martizih/kaniko",
}

// Rebuilt are those of the images that others build of it, each in its own way.
var Rebuilt = []string{"bitnami/kaniko", "bitnamilegacy/kaniko", "chainguard/kaniko"}

// maintained are the ends of the repositories of osscontainertools' line.
var maintained = []string{"osscontainertools/kaniko", "martizih/kaniko"}

// DockerConfig is what an image does with the variable DOCKER_CONFIG when --kaniko-dir or
// KANIKO_DIR moves Kaniko to another folder.
type DockerConfig int

const (
	// ReplacesDockerConfig sets it to .docker in the new folder: all of Google's and
	// Chainguard's releases that have the flag (checkKanikoDir in cmd/executor/cmd/root.go,
	// v1.24.0 and v1.25.5).
	ReplacesDockerConfig DockerConfig = iota
	// KeepsDockerConfig leaves it alone: osscontainertools' v1.28.3, observed.
	KeepsDockerConfig
	// UnknownDockerConfig is an image of osscontainertools whose release is older or not known.
	UnknownDockerConfig
)

var keeps = version.MustParseGeneric("v1.28.3")

// MovedDockerConfig returns what the image of a repository, host and path, does; nil is a
// release that is not known.
func MovedDockerConfig(repository string, release *version.Version) DockerConfig {
	ours := func(end string) bool { return strings.HasSuffix("/"+repository, "/"+end) }
	switch {
	case !slices.ContainsFunc(maintained, ours):
		return ReplacesDockerConfig
	case release == nil || release.LessThan(keeps):
		return UnknownDockerConfig
	}
	return KeepsDockerConfig
}

// Release returns the release that a tag names, nil where it names none.
func Release(tag string) *version.Version {
	number, _, _ := strings.Cut(strings.TrimPrefix(tag, "v"), "-")
	release, err := version.ParseGeneric(number)
	if err != nil {
		return nil
	}
	return release
}
