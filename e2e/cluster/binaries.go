package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// assetsEnv names a folder with etcd and kube-apiserver binaries; it is the
// variable that controller-runtime's envtest reads, so an existing set-up works.
const assetsEnv = "KUBEBUILDER_ASSETS"

// CacheDir returns the one folder that keeps long builds between runs:
// $TEKGATE_CACHE, or "tekgate" in the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv("TEKGATE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder (set TEKGATE_CACHE to choose one): %w", err)
	}
	return filepath.Join(dir, "tekgate"), nil
}

// Binaries returns a folder that holds kube-apiserver and etcd. Without
// KUBEBUILDER_ASSETS they are built from e2e/controlplane's module on first
// use, which takes minutes. log hears about a build before it starts.
func Binaries(ctx context.Context, log io.Writer) (string, error) {
	if dir := os.Getenv(assetsEnv); dir != "" {
		return dir, nil
	}
	return controlPlane.cached(ctx, log)
}

// Sink returns the path of Triggers' own eventlistenersink, the program of every
// EventListener's Pod, built from e2e/sink's module on first use.
func Sink(ctx context.Context, log io.Writer) (string, error) {
	dir, err := sink.cached(ctx, log)
	return filepath.Join(dir, "eventlistenersink"), err
}

// module is a folder of e2e with a go.mod of its own, and what is built from it.
type module struct {
	folder string
	stamp  string // the module whose version is linked in; empty for none
	// recipe is part of the cache's key: change it when the flags below change.
	recipe   string
	programs map[string]string // package by name
}

var (
	controlPlane = module{
		folder: "controlplane", stamp: "k8s.io/kubernetes", recipe: "static, trimmed, stamped 1",
		programs: map[string]string{"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"},
	}
	sink = module{
		folder: "sink", recipe: "static, trimmed 1",
		programs: map[string]string{"eventlistenersink": "github.com/tektoncd/triggers/cmd/eventlistenersink"},
	}
)

// cached returns the folder that holds m's programs, which are kept in the cache
// under a name that changes with m's go.sum. Processes that ask at the same time
// wait for one build.
func (m module) cached(ctx context.Context, log io.Writer) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "e2e", m.folder)
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return "", fmt.Errorf("reading the versions of e2e/%s: %w", m.folder, err)
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(append(sums, m.recipe...))
	dir := filepath.Join(cache, m.folder, hex.EncodeToString(key[:6]))
	if m.built(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, "lock")).Lock()
	if err != nil {
		return "", fmt.Errorf("locking the cache folder %s: %w", dir, err)
	}
	defer unlock()
	if m.built(dir) {
		return dir, nil
	}
	return dir, m.build(ctx, source, dir, log)
}

func (m module) built(dir string) bool {
	for name := range m.programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

func (m module) build(ctx context.Context, source, dir string, log io.Writer) error {
	fmt.Fprintf(log, "building %s into %s (some minutes, once)\n", strings.Join(slices.Sorted(maps.Keys(m.programs)), " and "), dir)
	flags := "-s -w"
	if m.stamp != "" {
		version, err := goOutput(ctx, source, "list", "-m", "-f", "{{.Version}}", m.stamp)
		if err != nil {
			return err
		}
		flags = stamps(version)
	}
	for name, pkg := range m.programs {
		// Built beside its name and renamed, so that an interrupted build never
		// looks like a finished one.
		half := filepath.Join(dir, name+".half")
		if _, err := goOutput(ctx, source, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", half, pkg); err != nil {
			return fmt.Errorf("building %s: %w", name, err)
		}
		if err := os.Rename(half, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("keeping %s: %w", name, err)
		}
	}
	return nil
}

// stamps returns the linker flags that give the binaries their version. An
// API server without one reports "v0.0.0-master+$Format:%H$", which Tekton's
// controllers refuse to parse.
func stamps(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", pkg+".gitVersion="+version,
			"-X", pkg+".gitMajor="+parts[0],
			"-X", pkg+".gitMinor="+parts[1],
			"-X", pkg+".gitTreeState=clean")
	}
	return strings.Join(flags, " ")
}

// Root returns the folder of Tekgate's own module, as seen from the working
// directory.
func Root(ctx context.Context) (string, error) {
	return goOutput(ctx, ".", "list", "-m", "-f", "{{.Dir}}", "github.com/tekgate/tekgate")
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("go %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
