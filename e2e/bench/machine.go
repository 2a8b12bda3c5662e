package main

import (
	"context"
	"os"
	"runtime"
	"strings"

	"k8s.io/client-go/discovery"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/internal/release"
)

// Machine is where it was measured. Nothing in it names the machine.
type Machine struct {
	Cores           int
	CPU, Kernel, Go string
	Versions        []string
}

// thisMachine says what it can: what it cannot find out is left out.
func thisMachine(ctx context.Context, clusters ...*cluster.Cluster) Machine {
	m := Machine{Cores: runtime.NumCPU(), CPU: "an unnamed CPU", Go: runtime.Version()}
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
	if len(clusters) > 0 {
		m.Versions = append(m.Versions, "Kubernetes "+serverVersion(clusters[0]))
	}
	if pinned, err := release.Pinned(ctx, "github.com/tektoncd/pipeline"); err == nil {
		m.Versions = append(m.Versions, "github.com/tektoncd/pipeline "+pinned.Version)
	}
	for _, module := range peers.Modules() {
		m.Versions = append(m.Versions, module.Path+" "+module.Version)
	}
	return m
}

func serverVersion(c *cluster.Cluster) string {
	client, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		return "of an unknown version"
	}
	version, err := client.ServerVersion()
	if err != nil {
		return "of an unknown version"
	}
	return version.GitVersion
}
