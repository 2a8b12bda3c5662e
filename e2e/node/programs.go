package node

import (
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/gitea"
	"github.com/tekgate/tekgate/internal/release"
)

// module is the source of programs that are neither Kubernetes' nor Tekton's. None
// is imported, so none stands in a go.mod: each is built in the folder of its own
// module, whose go.mod and go.sum choose what goes into it.
type module struct {
	path, version, tags string
	// packages are relative to the module, by the program's name.
	packages map[string]string
}

// modules are in the order in which they are built.
func modules() []module {
	return []module{
		{"github.com/containerd/containerd/v2", "v2.4.2", "no_btrfs,no_zfs,no_devmapper", map[string]string{
			"containerd": "cmd/containerd", "containerd-shim-runc-v2": "cmd/containerd-shim-runc-v2", "ctr": "cmd/ctr",
		}},
		{"github.com/containernetworking/plugins", "v1.9.1", "", map[string]string{
			"ptp": "plugins/main/ptp", "loopback": "plugins/main/loopback",
			"host-local": "plugins/ipam/host-local", "portmap": "plugins/meta/portmap",
		}},
		{"github.com/distribution/distribution/v3", "v3.1.2", "", map[string]string{"registry": "cmd/registry"}},
		{"github.com/coredns/coredns", "v1.14.6", "", map[string]string{"coredns": "."}},
		{"github.com/chainguard-dev/kaniko", "v1.25.5", "", map[string]string{"executor": "cmd/executor"}},
		{"github.com/tektoncd/cli", "v0.46.0", "", map[string]string{"tkn": "cmd/tkn"}},
	}
}

// policies is what enforces NetworkPolicies, which the plugin ptp does not.
var policies = module{"github.com/cloudnativelabs/kube-router/v2", "v2.1.0", "", map[string]string{
	"kube-router": "cmd/kube-router",
}}

// buildRecipe is part of the cache's key: change it when the flags below change.
const buildRecipe = "static, trimmed 1"

// Programs are the folders that hold what a node runs, and what is put into images.
type Programs struct {
	// ControlPlane holds etcd and kube-apiserver, Kubernetes the rest of it.
	ControlPlane, Kubernetes string
	// Containerd holds containerd, its shim and ctr; CNI the network plugins.
	Containerd, CNI string
	// Registry, Kaniko and CoreDNS hold one program each.
	Registry, Kaniko, CoreDNS string
	// Tkn holds Tekton's command line.
	Tkn string
	// Gitea is the forge.
	Gitea gitea.Programs
	// Policies holds kube-router; "" if only what `make e2e` needs was built.
	Policies string
	// Tekton are the pairs of Tekton's releases, by their names.
	Tekton map[string]Pair
}

// Build returns the programs, after it has built those that are not in the cache
// yet, which takes some twenty minutes on two cores. The programs of older lines of Tekton are
// built only if all are wanted, and take four minutes for each line. log hears about each.
func Build(ctx context.Context, log io.Writer, all bool) (p Programs, err error) {
	if p.ControlPlane, err = cluster.Binaries(ctx, log); err != nil {
		return p, err
	}
	if p.Kubernetes, err = cluster.NodePrograms(ctx, log); err != nil {
		return p, err
	}
	into := []*string{&p.Containerd, &p.CNI, &p.Registry, &p.CoreDNS, &p.Kaniko, &p.Tkn}
	for i, m := range modules() {
		if *into[i], err = m.build(ctx, log); err != nil {
			return p, err
		}
	}
	if _, err = certmanager.Build(ctx, log); err != nil {
		return p, err
	}
	if p.Gitea, err = gitea.Build(ctx, log); err != nil {
		return p, err
	}
	if all {
		if p.Policies, err = policies.build(ctx, log); err != nil {
			return p, err
		}
	}
	p.Tekton, err = buildPairs(ctx, log, all)
	return p, err
}

// Folder returns the folder that holds one of the programs, such as distribution's registry, Kaniko's
// executor or containerd. It is built if it is not in the cache.
func Folder(ctx context.Context, log io.Writer, program string) (string, error) {
	for _, m := range modules() {
		if _, is := m.packages[program]; is {
			return m.build(ctx, log)
		}
	}
	return "", fmt.Errorf("no module has the program %s", program)
}

// Cached returns the path of one of the programs that is in the cache; ok is false if none is.
func Cached(program string) (file string, ok bool) {
	cache, err := cluster.CacheDir()
	if err != nil {
		return "", false
	}
	for _, m := range modules() {
		if _, is := m.packages[program]; !is {
			continue
		}
		if found, err := filepath.Glob(filepath.Join(cache, m.folder(), "*", program)); err == nil && len(found) > 0 {
			return found[0], true
		}
	}
	return "", false
}

// folder is the name of the folder in the cache for all recipes.
func (m module) folder() string {
	return filepath.Join("node", path.Base(path.Dir(m.path))+"-"+m.version)
}

func (m module) build(ctx context.Context, log io.Writer) (string, error) {
	source, err := release.Fetch(ctx, m.path, m.version)
	if err != nil {
		return "", err
	}
	packages := map[string]string{}
	for program, dir := range m.packages {
		packages[program] = path.Join(m.path, dir)
	}
	dir, err := cluster.Recipe{
		Name:     m.folder(),
		Dir:      source.Dir,
		Key:      m.path + source.Version + source.Sum + m.tags + buildRecipe,
		Linker:   func() (string, error) { return "-s -w", nil },
		Tags:     m.tags,
		Packages: packages,
	}.Build(ctx, log)
	if err != nil {
		return "", fmt.Errorf("building %s %s: %w", m.path, source.Version, err)
	}
	return dir, nil
}
