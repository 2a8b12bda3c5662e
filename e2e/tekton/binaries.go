package tekton

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/release"
)

// commands are those of Tekton's that tests run, by the release that they
// belong to: what stands here is built before the tests.
var commands = map[string][]string{
	Pipeline: {"webhook"},
	Triggers: {"webhook", "eventlistenersink"},
}

// buildRecipe is part of the cache's key: change it when the flags below change.
const buildRecipe = "static, trimmed 1"

// Build makes sure that every command of Tekton's that tests run is in the
// cache, and returns the folders that hold them. log hears about a build before
// it starts.
func Build(ctx context.Context, log io.Writer) ([]string, error) {
	var dirs []string
	for _, name := range []string{Pipeline, Triggers} {
		dir, err := binaries(ctx, name, log)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// Program returns the path of one of those commands, built on first use.
func Program(ctx context.Context, release, command string, log io.Writer) (string, error) {
	dir, err := binaries(ctx, release, log)
	return filepath.Join(dir, command), err
}

func binaries(ctx context.Context, name string, log io.Writer) (string, error) {
	module, err := Module(ctx, name, "")
	if err != nil {
		return "", err
	}
	return Programs(ctx, name, module, commands[name], log)
}

// Module returns the module that a release is made of. The empty version is the one
// that the product's go.mod asks for.
func Module(ctx context.Context, name, version string) (release.Module, error) {
	i := slices.IndexFunc(release.Manifests, func(m release.Manifest) bool { return m.Name == name })
	if i < 0 {
		return release.Module{}, fmt.Errorf("there is no Tekton release %q", name)
	}
	if version == "" {
		return release.Pinned(ctx, release.Manifests[i].Module)
	}
	return release.Fetch(ctx, release.Manifests[i].Module, version)
}

// unserved are the modules that a release asks for in a version that the Go module proxy does not
// serve, with the nearest version that it does.
var unserved = map[string]map[string]string{
	Pipeline + "@v1.12.2": {"github.com/jenkins-x/go-scm": "v1.15.21", spire: "v1.14.6"},
	Pipeline + "@v1.9.6":  {spire: "v1.14.6"},
}

const spire = "github.com/spiffe/spire-api-sdk"

// Programs returns the folder that holds the given commands of a release, built on
// first use. That happens in the folder of Tekton's own module, so that its go.mod
// and go.sum choose what goes into them, as they did for the published images.
func Programs(
	ctx context.Context, name string, module release.Module, commands []string, log io.Writer,
) (string, error) {
	packages := map[string]string{}
	for _, command := range commands {
		packages[command] = "./cmd/" + command
	}
	dir, err := cluster.Recipe{
		Name:     filepath.Join("tekton", name+"-"+module.Version),
		Dir:      module.Dir,
		Key:      "github.com/tektoncd/" + name + module.Version + module.Sum + buildRecipe,
		Linker:   func() (string, error) { return "-s -w", nil },
		Packages: packages,
		Replace:  unserved[name+"@"+module.Version],
	}.Build(ctx, log)
	if err != nil {
		return "", fmt.Errorf("building Tekton's commands of release %s %s: %w", name, module.Version, err)
	}
	return dir, nil
}

// Component returns the folder that holds the commands of a component, built on first use like
// those of Programs.
func Component(ctx context.Context, c release.Component, log io.Writer) (string, error) {
	module, err := c.Fetch(ctx)
	if err != nil {
		return "", err
	}
	return Programs(ctx, c.Name, module, c.Commands, log)
}
