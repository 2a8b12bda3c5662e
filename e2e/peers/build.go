package peers

import (
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/release"
)

// The programs that can be built, by their names in the cache.
const (
	Gatekeeper  = "gatekeeper"
	Gator       = "gator" // Gatekeeper's command line
	Kyverno     = "kyverno"
	KyvernoCLI  = "kyverno-cli"
	PodIdentity = "pod-identity-webhook"
	Regsync     = "regsync"
	Crane       = "crane"
)

// Module is the source of a peer, at the version that it is measured at.
type Module struct {
	Path, Version string
	// Programs are its packages by the program's name, relative to the module.
	Programs map[string]string
}

// Modules returns the peers, in the order in which they are built. They are not in
// go.mod, because none is imported, and each is built with its own go.mod.
func Modules() []Module {
	return []Module{
		{
			"github.com/open-policy-agent/gatekeeper/v3", "v3.23.1",
			map[string]string{Gatekeeper: ".", Gator: "cmd/gator"},
		},
		{
			"github.com/kyverno/kyverno", "v1.19.1",
			map[string]string{Kyverno: "cmd/kyverno", KyvernoCLI: "cmd/cli/kubectl-kyverno"},
		},
		{
			"github.com/aws/amazon-eks-pod-identity-webhook", "v0.6.17",
			map[string]string{PodIdentity: "."},
		},
		{"github.com/regclient/regclient", "v0.11.7", map[string]string{Regsync: "cmd/regsync"}},
		{"github.com/google/go-containerregistry", "v0.22.1", map[string]string{Crane: "cmd/crane"}},
	}
}

// buildRecipe is part of the cache's key: change it when the flags below change.
const buildRecipe = "static, trimmed 1"

// Build returns the path of a peer's program. The first use builds it in the directory of
// its own module, so that its go.mod applies. That takes minutes and is logged.
func Build(ctx context.Context, program string, log io.Writer) (string, error) {
	module, err := moduleOf(program)
	if err != nil {
		return "", err
	}
	source, err := release.Fetch(ctx, module.Path, module.Version)
	if err != nil {
		return "", err
	}
	dir, err := cluster.Recipe{
		Name:     filepath.Join("peers", program+"-"+source.Version),
		Dir:      source.Dir,
		Key:      module.Path + source.Version + source.Sum + buildRecipe,
		Linker:   func() (string, error) { return "-s -w", nil },
		Packages: map[string]string{program: path.Join(module.Path, module.Programs[program])},
	}.Build(ctx, log)
	if err != nil {
		return "", fmt.Errorf("building %s %s: %w", program, source.Version, err)
	}
	return filepath.Join(dir, program), nil
}

func moduleOf(program string) (Module, error) {
	modules := Modules()
	i := slices.IndexFunc(modules, func(m Module) bool { return m.Programs[program] != "" })
	if i < 0 {
		return Module{}, fmt.Errorf("there is no peer %q", program)
	}
	return modules[i], nil
}

// moduleDir returns the directory of the module that a peer's program is built from. It has
// the peer's CRDs.
func moduleDir(ctx context.Context, program string) (string, error) {
	module, err := moduleOf(program)
	if err != nil {
		return "", err
	}
	source, err := release.Fetch(ctx, module.Path, module.Version)
	return source.Dir, err
}
