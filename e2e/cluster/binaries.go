package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// assetsEnv names a folder with etcd and kube-apiserver binaries; it is the
// variable that controller-runtime's envtest reads, so an existing set-up works.
const assetsEnv = "KUBEBUILDER_ASSETS"

// kubernetesEnv chooses the version of Kubernetes: nothing for that of e2e/controlplane, or
// previousMinor for the minor version before it.
const (
	kubernetesEnv = "TEKGATE_KUBERNETES"
	previousMinor = "previous"
)

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
// use, which takes minutes, and kept in the cache under a name that changes
// with that module's go.sum. Processes that ask at the same time wait for one
// build. log hears about a build before it starts.
func Binaries(ctx context.Context, log io.Writer) (string, error) {
	if dir := os.Getenv(assetsEnv); dir != "" {
		return dir, nil
	}
	return build(ctx, log, map[string]string{
		"etcd":           "go.etcd.io/etcd/server/v3",
		"kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
	})
}

// NodePrograms returns a folder that holds the other programs of Kubernetes that
// a cluster with a node needs, and kubectl. They are of the API server's version.
func NodePrograms(ctx context.Context, log io.Writer) (string, error) {
	packages := map[string]string{}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"} {
		packages[name] = "k8s.io/kubernetes/cmd/" + name
	}
	return build(ctx, log, packages)
}

// Cached returns the path of one of Kubernetes' programs that is in the cache; ok is false if none is.
func Cached(program string) (file string, ok bool) {
	cache, err := CacheDir()
	if err != nil {
		return "", false
	}
	found, err := filepath.Glob(filepath.Join(cache, recipeName, "*", program))
	if err != nil || len(found) == 0 {
		return "", false
	}
	return found[0], true
}

// recipeName is the folder of Kubernetes' programs in the cache.
const recipeName = "controlplane"

func build(ctx context.Context, log io.Writer, packages map[string]string) (string, error) {
	source, err := moduleDir(ctx)
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return "", fmt.Errorf("reading the control plane's versions: %w", err)
	}
	return Recipe{
		Name: recipeName,
		Dir:  source,
		Key:  string(sums) + buildRecipe,
		Linker: func() (string, error) {
			version, err := goOutput(ctx, source, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
			return stamps(version), err
		},
		Packages: packages,
	}.Build(ctx, log)
}

// buildRecipe is part of the cache's key: change it when the flags below change.
const buildRecipe = "static, trimmed, stamped 1"

// stamps returns the linker flags that give the binaries their version. An
// API server without one reports "v0.0.0-master+$Format:%H$", which Tekton's
// controllers refuse to parse.
func stamps(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", pkg+".gitVersion="+version,
			"-X", pkg+".gitMajor="+major,
			"-X", pkg+".gitMinor="+minor,
			"-X", pkg+".gitTreeState=clean")
	}
	return strings.Join(flags, " ")
}

func controlPlaneDir(ctx context.Context) (string, error) {
	root, err := Root(ctx)
	return filepath.Join(root, "e2e", "controlplane"), err
}

// moduleDir returns the folder of the module of the version that is asked for.
func moduleDir(ctx context.Context) (string, error) {
	dir, err := controlPlaneDir(ctx)
	switch asked := os.Getenv(kubernetesEnv); asked {
	case "":
		return dir, err
	case previousMinor:
		return filepath.Join(dir, previousMinor), err
	default:
		return "", fmt.Errorf("%s=%s is not known: leave it out, or set it to %s", kubernetesEnv, asked, previousMinor)
	}
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
