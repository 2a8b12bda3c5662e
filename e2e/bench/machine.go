package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"k8s.io/client-go/discovery"

	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/internal/release"
)

// machine describes this machine. It leaves out what it cannot read.
func machine() report.Machine {
	m := report.Machine{Cores: runtime.NumCPU(), CPU: "an unknown CPU", Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel, _, _ = strings.Cut(strings.TrimSpace(string(text)), "-") // the rest may name the machine
	}
	return m
}

// commit returns the abbreviated commit of this repository, with "-dirty" if there are
// uncommitted changes.
func commit(ctx context.Context) string {
	root, err := cluster.Root(ctx)
	if err != nil {
		return "unknown"
	}
	text, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// versions returns the versions of Kubernetes, Tekton and the peers.
func versions(ctx context.Context, clusters ...*cluster.Cluster) map[string]string {
	v := map[string]string{}
	if len(clusters) > 0 {
		if version := serverVersion(clusters[0]); version != "" {
			v["kubernetes"] = version
		}
	}
	const pipeline = "github.com/tektoncd/pipeline"
	if pinned, err := release.Pinned(ctx, pipeline); err == nil {
		v[pipeline] = pinned.Version
	}
	for _, module := range peers.Modules() {
		v[module.Path] = module.Version
	}
	return v
}

func serverVersion(c *cluster.Cluster) string {
	client, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		return ""
	}
	version, err := client.ServerVersion()
	if err != nil {
		return ""
	}
	return version.GitVersion
}
