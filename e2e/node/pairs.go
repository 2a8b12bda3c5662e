package node

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/tekton"
	reference "github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/release"
)

// The pairs of Tekton's releases that the mirror holds.
const (
	// Current is the pair that Tekgate installs by itself.
	Current = "current"
	// Previous is of the line before, which Tekgate has in itself, too.
	Previous = "previous"
	// Components is Current with all other components of Tekton.
	Components = "components"
	// Article is for articles of 2021. Theirs is v0.27, which no Kubernetes of today works
	// with; v0.38.4 of the year after does, and still has PipelineResources. Of Triggers it
	// is what came out in the same summer: v0.20 requires v0.35 of Pipelines, v0.21 v0.39.
	Article = "article"
)

// AllComponents returns the names of all components beside Pipelines and Triggers, as --with takes
// them.
func AllComponents() string {
	var names []string
	for _, c := range release.Components {
		names = append(names, c.Name)
	}
	return strings.Join(names, ",")
}

// recipe says how a pair is made: its versions, the commands that have an image each, and, if
// Tekgate does not have the manifests in itself, how these name the images.
type recipe struct {
	versions, commands map[string]string
	naming             func(importPath string) string
}

// Lines returns the names of the pairs of all lines of Tekgate's that are older than Previous.
func Lines() []string {
	var names []string
	for _, l := range release.Lines[2:] {
		names = append(names, l.Name)
	}
	return names
}

// recipeOf returns the recipe of a pair.
func recipeOf(name string) recipe {
	switch name {
	case Article:
		return article
	case Current, Components:
		// The empty version is that of Tekgate's go.mod.
		return recipe{versions: map[string]string{tekton.Pipeline: "", tekton.Triggers: ""}, commands: today}
	}
	i := slices.IndexFunc(release.Lines, func(l release.Line) bool { return l.Name == name })
	if name == Previous {
		i = 1
	}
	l := release.Lines[i]
	return recipe{
		versions: map[string]string{tekton.Pipeline: l.Pipeline, tekton.Triggers: l.Triggers}, commands: today,
	}
}

var (
	article = recipe{
		versions: map[string]string{tekton.Pipeline: "v0.38.4", tekton.Triggers: "v0.20.2"},
		commands: map[string]string{
			tekton.Pipeline: "controller webhook entrypoint nop workingdirinit git-init imagedigestexporter kubeconfigwriter pullrequest-init",
			tekton.Triggers: "controller webhook eventlistenersink interceptors",
		},
		naming: reference.PreservedName,
	}
	today = map[string]string{
		tekton.Pipeline: "controller webhook events resolvers entrypoint nop workingdirinit sidecarlogresults",
		tekton.Triggers: "controller webhook eventlistenersink interceptors",
	}
)

// Pair is what of a pair of releases is on this machine: by a release's name, its
// module, and the folder of the programs that were built of it.
type Pair struct {
	Modules  map[string]release.Module
	Programs map[string]string
}

// buildPairs builds the pairs. Those of Lines, and Components, are built only if all are
// wanted.
func buildPairs(ctx context.Context, log io.Writer, all bool) (map[string]Pair, error) {
	built := map[string]Pair{}
	names := []string{Current, Previous, Article}
	if all {
		names = append(names, Lines()...)
	}
	for _, name := range names {
		pair := recipeOf(name)
		p := Pair{Modules: map[string]release.Module{}, Programs: map[string]string{}}
		for _, part := range []string{tekton.Pipeline, tekton.Triggers} {
			module, err := tekton.Module(ctx, part, pair.versions[part])
			if err != nil {
				return nil, err
			}
			commands := strings.Fields(pair.commands[part])
			if p.Programs[part], err = tekton.Programs(ctx, part, module, commands, log); err != nil {
				return nil, err
			}
			p.Modules[part] = module
		}
		built[name] = p
	}
	if !all {
		return built, nil
	}
	programs := maps.Clone(built[Current].Programs)
	for _, c := range release.Components {
		dir, err := tekton.Component(ctx, c, log)
		if err != nil {
			return nil, err
		}
		programs[c.Name] = dir
	}
	built[Components] = Pair{Modules: built[Current].Modules, Programs: programs}
	return built, nil
}

// source returns the flags with which Tekgate reads a pair's manifests.
func (n *Node) source(name string) ([]string, error) {
	pair := recipeOf(name)
	switch {
	case name == Current:
		return nil, nil
	case name == Components:
		return []string{"--with", AllComponents()}, nil
	case pair.naming == nil:
		return []string{"--version", pair.versions[tekton.Pipeline]}, nil
	}
	dir, err := n.manifests(name)
	n.Manifests[name] = dir
	return []string{
		"--pipeline-manifest", filepath.Join(dir, tekton.Pipeline),
		"--triggers-manifest", filepath.Join(dir, tekton.Triggers),
	}, err
}

// manifests writes the manifests of a pair that Tekgate does not have in itself, in one
// folder for each of Tekton's parts, and returns the folder of both.
func (n *Node) manifests(name string) (string, error) {
	dir := filepath.Join(n.parts.Dir, "files", name)
	for _, m := range release.Manifests {
		part, _, _ := strings.Cut(m.Name, "-")
		module := n.parts.Tekton[name].Modules[part]
		objects, err := m.Assemble(os.DirFS(module.Dir), module.Version, recipeOf(name).naming)
		if err != nil {
			return "", err
		}
		var text strings.Builder
		for _, o := range objects {
			document, err := yaml.Marshal(o.Object)
			if err != nil {
				return "", fmt.Errorf("writing manifest %s: %w", m.Name, err)
			}
			text.WriteString("---\n" + string(document))
		}
		if err := write(filepath.Join(dir, part, m.Name+".yaml"), text.String()); err != nil {
			return "", err
		}
	}
	return dir, nil
}
