// Package registries runs real registries for tests: distribution v3, and v2 as Debian has it.
//
// distribution is built from its module. Debian's is taken out of its package, which apt-get
// downloads: 2.8.2 is what Debian 12 users run, and its garbage collection differs from v3's.
package registries

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/node"
)

// Program is the program of a registry.
type Program struct {
	// Name is what people call it, such as "distribution v3".
	Name string
	path string
	v2   bool
}

const debianPackage = "docker-registry"

// Programs returns the registries that can run here: both on Debian, elsewhere distribution's
// alone. log hears about builds.
func Programs(ctx context.Context, log io.Writer) ([]Program, error) {
	folder, err := node.Folder(ctx, log, "registry")
	if err != nil {
		return nil, err
	}
	programs := []Program{{Name: "distribution v3", path: filepath.Join(folder, "registry")}}
	if apt, _ := exec.LookPath("apt-get"); apt == "" {
		fmt.Fprintln(log, "NOT RUN: Debian's registry, since there is no apt-get")
		return programs, nil
	}
	path, err := debian(ctx)
	if err != nil { // not every machine reaches Debian's packages
		fmt.Fprintf(log, "NOT RUN: Debian's registry: %v\n", err)
		return programs, ctx.Err()
	}
	return append(programs, Program{Name: "Debian's distribution v2", path: path, v2: true}), nil
}

// debian returns Debian's program, from the cache if it has been downloaded.
func debian(ctx context.Context) (string, error) {
	cache, err := cluster.CacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, debianPackage)
	path := filepath.Join(folder, "usr", "bin", debianPackage)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	half, err := os.MkdirTemp(cache, debianPackage+"-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(half)
	if err := download(ctx, half); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(half, "*.deb"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("apt-get downloaded %v, error %w", files, err)
	}
	out := filepath.Join(half, "out")
	if text, err := exec.CommandContext(ctx, "dpkg", "-x", files[0], out).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpacking %s: %w\n%s", files[0], err, text)
	}
	if err := os.Rename(out, folder); err != nil && !os.IsExist(err) {
		return "", err
	}
	return path, nil
}

// download downloads the package into a folder. A new machine has no lists of packages yet.
func download(ctx context.Context, folder string) error {
	var text []byte
	var err error
	for _, arguments := range [][]string{{"download", debianPackage}, {"update"}, {"download", debianPackage}} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-qq"}, arguments...)...)
		cmd.Dir = folder
		text, err = cmd.CombinedOutput()
		if err == nil && arguments[0] == "download" {
			return nil
		}
	}
	return fmt.Errorf("downloading Debian's %s: %w\n%s", debianPackage, err, text)
}

// Registry is one that runs until the test ends.
type Registry struct {
	Host    string
	program Program
	config  string
	blobs   string
}

// Options are how a registry is set up.
type Options struct {
	// Upstream makes it a pull-through cache of another registry, such as http://127.0.0.1:5000.
	Upstream string
	// TTL is how long a cache keeps content, such as 5s. Empty means a week.
	TTL string
	// Platforms are those whose manifests an index must have; none with "none". Empty means all.
	Platforms string
}

// Start starts a registry in a folder of its own.
func Start(t testing.TB, program Program, options Options) *Registry {
	t.Helper()
	folder := t.TempDir()
	host, err := child.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &Registry{Host: host, program: program, config: filepath.Join(folder, "config.yaml"),
		blobs: filepath.Join(folder, "storage", "docker", "registry", "v2", "blobs")}
	text := fmt.Sprintf("version: 0.1\nlog: {accesslog: {disabled: true}, level: error}\n"+
		"storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q, secret: none}\n",
		filepath.Join(folder, "storage"), r.Host)
	if options.Upstream != "" {
		text += fmt.Sprintf("proxy: {remoteurl: %q%s}\n", options.Upstream, ttl(options.TTL))
	}
	if options.Platforms != "" {
		text += fmt.Sprintf("validation: {manifests: {indexes: {platforms: %s}}}\n", options.Platforms)
	}
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program.path, "serve", r.config)
	log := &strings.Builder{}
	cmd.Stderr = log
	// No collector receives distribution's traces here.
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", program.Name, log)
		}
	})
	r.await(t)
	return r
}

func ttl(text string) string {
	if text == "" {
		return ""
	}
	return ", ttl: " + text
}

func (r *Registry) await(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Host+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer: %v", r.program.Name, err)
		}
	}
}

// Collect removes what no tag names, as administrators do now and then. The registry keeps
// running: it caches nothing.
func (r *Registry) Collect(t testing.TB) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), r.program.path, "garbage-collect", "--delete-untagged",
		r.config).CombinedOutput()
	if err != nil {
		t.Fatalf("garbage-collect: %v\n%s", err, text)
	}
}

// Damage overwrites a manifest or a layer in the storage, as a broken disk does. hex is its SHA-256.
func (r *Registry) Damage(t testing.TB, hex string) {
	t.Helper()
	file := filepath.Join(r.blobs, "sha256", hex[:2], hex, "data")
	info, err := os.Stat(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Repeat([]byte(" "), int(info.Size())), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// RemovesMembers reports whether its garbage collection takes the members of an index for
// untagged.
func (r *Registry) RemovesMembers() bool { return r.program.v2 }
