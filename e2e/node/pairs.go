package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	// Previous is what its users upgrade from.
	Previous = "previous"
	// Article is for articles of 2021. Theirs is v0.27, which no Kubernetes of today works
	// with; v0.38.4 of the year after does, and still has PipelineResources. Of Triggers it
	// is what came out in the same summer: v0.20 requires v0.35 of Pipelines, v0.21 v0.39.
	Article = "article"
)

// pairs are they, with the commands that have an image each. The empty version is that
// of Tekgate's go.mod.
var pairs = map[string]struct {
	versions, commands map[string]string
	naming             func(importPath string) string
}{
	Current: {
		versions: map[string]string{tekton.Pipeline: "", tekton.Triggers: ""},
		commands: today,
	},
	Previous: {
		versions: map[string]string{tekton.Pipeline: "v1.14.0", tekton.Triggers: "v0.36.0"},
		commands: today,
		naming:   reference.PublishedName,
	},
	Article: {
		versions: map[string]string{tekton.Pipeline: "v0.38.4", tekton.Triggers: "v0.20.2"},
		commands: map[string]string{
			tekton.Pipeline: "controller webhook entrypoint nop workingdirinit git-init imagedigestexporter kubeconfigwriter pullrequest-init",
			tekton.Triggers: "controller webhook eventlistenersink interceptors",
		},
		naming: reference.PreservedName,
	},
}

var today = map[string]string{
	tekton.Pipeline: "controller webhook events resolvers entrypoint nop workingdirinit sidecarlogresults",
	tekton.Triggers: "controller webhook eventlistenersink interceptors",
}

// Pair is what of a pair of releases is on this machine: by a release's name, its
// module, and the folder of the programs that were built of it.
type Pair struct {
	Modules  map[string]release.Module
	Programs map[string]string
}

func buildPairs(ctx context.Context, log io.Writer) (map[string]Pair, error) {
	built := map[string]Pair{}
	for _, name := range []string{Current, Previous, Article} {
		pair := pairs[name]
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
	return built, nil
}

// manifests writes the manifests of a pair that Tekgate does not have in itself, in one
// folder for each of Tekton's parts, and returns the folder of both.
func (n *Node) manifests(name string) (string, error) {
	dir := filepath.Join(n.parts.Dir, "files", name)
	for _, m := range release.Manifests {
		part, _, _ := strings.Cut(m.Name, "-")
		module := n.parts.Tekton[name].Modules[part]
		objects, err := m.Assemble(os.DirFS(module.Dir), module.Version, pairs[name].naming)
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
