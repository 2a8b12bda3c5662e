//go:build e2e

// Package scenarios holds what Tekgate promises, as it happens: Pods run, registries
// are asked, images are pushed. Its scripts in testdata run in the order of
// their names: 02 to 07 on what 01 has installed and 08-uninstall takes away again, 09 on
// what 08-upgrade has, and 10 on what it installs itself. Their log says of each step what
// was done, what was seen and how long it took, and at its end how each script ended.
//
// They run in a node that is made for them (package node), or on the cluster of
// TEKGATE_KUBECONFIG, which has to be one that Tekgate may be installed to. Without
// the build tag e2e there is nothing here to be skipped: `make e2e` and
// `make e2e-cluster` are the way to run it.
package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/node"
)

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

// run runs the tests where a cluster is: here, if one is given, and else in a node.
func run(m *testing.M) (int, error) {
	if _, inside, err := node.Inside(); err != nil || inside || os.Getenv(cluster.KubeconfigEnv) != "" {
		return m.Run(), err
	}
	return node.Enter(context.Background(), os.Stderr)
}

func TestScenarios(t *testing.T) {
	place, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { place.end(t) })
	defer func() { t.Logf("scenarios:\n%s", strings.Join(place.told, "\n")) }()
	testscript.RunT(inOrder{t, place}, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			for name, value := range place.env {
				env.Setenv(name, value)
			}
			env.Setenv("PATH", strings.Join(append(place.path, env.Getenv("PATH")), string(os.PathListSeparator)))
			// What kubectl knows of the API is not what the script before has left of it.
			env.Setenv("KUBECACHEDIR", filepath.Join(env.WorkDir, ".kube"))
			// Not a variable: testscript prints these.
			return os.WriteFile(filepath.Join(env.WorkDir, "password"), []byte(place.password+"\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"apply":        place.apply,
			"cert-manager": place.certManager,
			"exist":        place.exist,
			"image":        place.image,
			"many":         place.many,
			"reach":        place.reach,
			"silent":       place.silent,
			"trouble":      place.trouble,
		},
		Condition: func(name string) (bool, error) {
			if name == "node" { // one that was made for the scripts, and may be broken
				return place.node != nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

// place is where scripts run: their variables, and where their programs are.
type place struct {
	env      map[string]string
	password string // of the private registry, in the file "password" of each script
	path     []string
	node     *node.Node               // nil on a cluster of the user's
	issuing  *certmanager.Controllers // nil before a script wants them
	told     []string                 // how each script ended, and when
	lost     bool                     // nothing could be installed
}

// installing is the script that installs what the others need.
const installing = "01-"

// find starts the node, or looks at the cluster that is given.
func find(ctx context.Context) (*place, error) {
	parts, inside, err := node.Inside()
	if err != nil {
		return nil, err
	}
	if !inside {
		return given()
	}
	n, err := node.Start(ctx, parts, os.Stderr)
	if err != nil {
		return nil, errors.Join(err, keep(filepath.Join(parts.Dir, "logs"), "start"))
	}
	p := &place{node: n, path: []string{parts.Bin, parts.Kubernetes}, password: node.RegistryPassword}
	p.env = map[string]string{
		"KUBECONFIG":    n.Cluster.Kubeconfig,
		"CONFIG":        n.Config,
		"MIRROR":        node.Mirror,
		"CA":            n.CA,
		"REGISTRY":      node.RegistryHost,
		"REGISTRY_USER": node.RegistryUser,
		"GIT_HOST":      node.GitHost,
		"GIT_KEY":       n.GitKey,
		"PREVIOUS":      n.Manifests[node.Previous],
		"ARTICLE":       n.Manifests[node.Article],
	}
	return p, nil
}

// variables are what a user says of a cluster, besides TEKGATE_KUBECONFIG.
var variables = []struct{ name, meaning string }{
	{"CONFIG", "Tekgate's configuration file, with the mirror, serviceAccount.name builder and imageMirror.enabled"},
	{"MIRROR", "host and path of the mirror, which also has alpine:3.12 and executor:v1.25.5 (Kaniko)"},
	{"CA", "a file with the authorities of both registries"},
	{"REGISTRY", "host and path of a registry to push to, which wants a password"},
	{"REGISTRY_USER", "its user"},
	{passwordVariable, "its password"},
}

const passwordVariable = "REGISTRY_PASSWORD"

func given() (*place, error) {
	root, err := cluster.Root(context.Background())
	if err != nil {
		return nil, err
	}
	p := &place{path: []string{filepath.Join(root, "bin")}}
	p.env = map[string]string{"KUBECONFIG": os.Getenv(cluster.KubeconfigEnv)}
	var errs []error
	if _, err := exec.LookPath("kubectl"); err != nil {
		errs = append(errs, fmt.Errorf("kubectl is not there, with which the scenarios look at the cluster: %w", err))
	}
	for _, v := range variables {
		p.env[v.name] = os.Getenv("TEKGATE_E2E_" + v.name)
		if p.env[v.name] == "" {
			errs = append(errs, fmt.Errorf("TEKGATE_E2E_%s is not set: %s", v.name, v.meaning))
		}
	}
	p.password = p.env[passwordVariable]
	delete(p.env, passwordVariable)
	return p, errors.Join(errs...)
}

func outcome(t *testing.T) string {
	switch {
	case t.Failed():
		return "failed"
	case t.Skipped():
		return "skipped"
	}
	return "passed"
}

// inOrder has testscript run one script after another, and none where there is no
// installation: the others need no more than that of those before them.
type inOrder struct {
	*testing.T
	place *place
}

func (t inOrder) Parallel() {}

func (t inOrder) Verbose() bool { return true }

func (t inOrder) Run(name string, f func(testscript.T)) {
	if t.place.lost {
		t.place.told = append(t.place.told, name+": not run, since nothing is installed")
		return
	}
	t.T.Run(name, func(s *testing.T) {
		began := time.Now()
		s.Cleanup(func() {
			t.place.told = append(t.place.told,
				fmt.Sprintf("%s: %s after %.0f s", name, outcome(s), time.Since(began).Seconds()))
			if s.Failed() {
				t.place.lost = t.place.lost || strings.HasPrefix(name, installing)
				t.place.dump(s, name)
			}
		})
		f(inOrder{s, t.place})
	})
}
