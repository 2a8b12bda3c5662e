// Package certmanager runs cert-manager's own controllers beside a cluster's API
// server, so that tests see what cert-manager issues, and not what we think it would.
//
//	c := cluster.StartEmpty(t)
//	certmanager.Start(t, c)
//
// now Issuers and Certificates are served and obeyed. What runs is the program in the
// folder controllers, which says what it leaves out: of cert-manager's kinds of issuer
// those that need the world outside, and its admission webhook. The definitions are
// those of cert-manager's module. Certificates are issued within seconds, since a
// request that failed is tried again sooner than by default.
package certmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

const module = "github.com/cert-manager/cert-manager"

// buildRecipe is part of the cache's key: change it when the flags below change.
const buildRecipe = "static, trimmed 1"

// program is the name of the controllers' binary in the cache.
const program = "cert-manager-controllers"

// Build makes sure that the controllers are in the cache, and returns the folder that
// holds them. log hears about a build before it starts.
func Build(ctx context.Context, log io.Writer) (string, error) {
	dir, err := source(ctx)
	if err != nil {
		return "", err
	}
	key := buildRecipe
	for _, name := range []string{"main.go", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("reading what cert-manager's controllers are built from: %w", err)
		}
		key += string(text)
	}
	pinned, err := pinned(ctx)
	if err != nil {
		return "", err
	}
	return cluster.Recipe{
		Name:     filepath.Join("cert-manager", pinned.Version),
		Dir:      dir,
		Key:      key,
		Linker:   func() (string, error) { return "-s -w", nil },
		Packages: map[string]string{program: "."},
	}.Build(ctx, log)
}

// programPath returns the path of the controllers' binary, built on first use.
func programPath(ctx context.Context, log io.Writer) (string, error) {
	dir, err := Build(ctx, log)
	return filepath.Join(dir, program), err
}

func source(ctx context.Context) (string, error) {
	root, err := cluster.Root(ctx)
	return filepath.Join(root, "e2e", "certmanager", "controllers"), err
}

// release is cert-manager's module on this machine's disk.
type release struct{ Dir, Version string }

// pinned is the version that the controllers are built with.
func pinned(ctx context.Context) (release, error) {
	var r release
	dir, err := source(ctx)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		return r, fmt.Errorf("fetching %s: %w", module, err)
	}
	return r, nil
}

// readDefinitions returns cert-manager's CustomResourceDefinitions.
func readDefinitions(ctx context.Context) ([]*unstructured.Unstructured, error) {
	r, err := pinned(ctx)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(r.Dir, "deploy", "crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s %s holds no definitions in deploy/crds", module, r.Version)
	}
	var all []*unstructured.Unstructured
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &u.Object); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		all = append(all, u)
	}
	return all, nil
}

// Define installs the definitions, and returns once Certificates and Issuers are
// served. Nobody obeys them yet.
func Define(ctx context.Context, c *cluster.Cluster) error {
	k, err := kube.Client(c.Config, cmv1.AddToScheme)
	if err != nil {
		return err
	}
	definitions, err := readDefinitions(ctx)
	if err != nil {
		return err
	}
	for _, d := range definitions {
		applied := client.ApplyConfigurationFromUnstructured(d)
		if err := k.Apply(ctx, applied, client.FieldOwner("cert-manager")); err != nil {
			return fmt.Errorf("applying %s: %w", d.GetName(), err)
		}
	}
	lists := []client.ObjectList{
		&cmv1.CertificateList{}, &cmv1.CertificateRequestList{}, &cmv1.IssuerList{}, &cmv1.ClusterIssuerList{},
	}
	for _, list := range lists {
		err := wait.PollUntilContextTimeout(
			ctx,
			100*time.Millisecond,
			time.Minute,
			true,
			func(ctx context.Context) (bool, error) {
				return k.List(ctx, list) == nil, nil
			},
		)
		if err != nil {
			return fmt.Errorf("waiting until %T is served: %w", list, err)
		}
	}
	return nil
}

// Controllers are the running process.
type Controllers struct {
	cmd  *exec.Cmd
	log  *child.Log
	done chan error
}

// Start defines the kinds and runs the controllers for one test.
func Start(t testing.TB, c *cluster.Cluster) *Controllers {
	t.Helper()
	if err := Define(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	controllers, err := Run(t.Context(), c, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := controllers.Stop(); err != nil {
			t.Error(err)
		}
	})
	return controllers
}

// Run runs the controllers, and returns once they do. talk hears about a build. The
// caller stops them.
func Run(ctx context.Context, c *cluster.Cluster, talk io.Writer) (*Controllers, error) {
	path, err := programPath(ctx, talk)
	if err != nil {
		return nil, err
	}
	r := &Controllers{
		cmd:  exec.Command(path, "--kubeconfig", c.Kubeconfig), //nolint:noctx // Stop ends it
		log:  &child.Log{},
		done: make(chan error, 1),
	}
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting cert-manager's controllers: %w", err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	for end := time.Now().Add(time.Minute); !strings.Contains(r.Log(), "running\n"); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-r.done:
			return nil, fmt.Errorf(
				"cert-manager's controllers ended: %w; their log:\n%s",
				errors.Join(err, ctx.Err()),
				r.Log(),
			)
		default:
		}
		if time.Now().After(end) {
			_ = r.Stop()
			return nil, fmt.Errorf("cert-manager's controllers do not start; their log:\n%s", r.Log())
		}
	}
	return r, nil
}

// Log is what they have said.
func (r *Controllers) Log() string { return r.log.String() }

// Stop ends the process.
func (r *Controllers) Stop() error {
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-r.done:
		return nil
	case <-time.After(10 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.done
		return nil
	}
}
