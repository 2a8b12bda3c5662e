//go:build e2e

// Package scenarios holds what Tekgate promises, as it happens: Pods run, registries
// are asked, images are pushed. Its scripts in testdata run in the order of
// their names: 02 to 07 on what 01 has installed and 08-uninstall takes away again, 09 on
// what 08-upgrade has, and 10 after it has removed that; 13 installs by itself. The log has each step, its output
// and its duration, and at its end the result of each script.
//
// They run in two nodes at the same time (package node), since they mostly wait: the first
// runs 01 to 08-uninstall, 13, and 14-why, which both install for themselves; the second 08-upgrade
// and what follows. With TEKGATE_KUBECONFIG all of them run on that cluster, which has to be one
// that Tekgate may be installed to.
//
// Scripts whose names end in -full take minutes, and run with -full only, which CI does not
// pass. With -full, NetworkPolicies are enforced in the first node, and those for Tekton are
// installed. Without the build tag e2e this package is empty. Run it with `make e2e`,
// `make e2e-full` or `make e2e-cluster`.
package scenarios_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/node"
	"github.com/tekgate/tekgate/internal/release"
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
	flag.Parse()
	return node.Enter(context.Background(), os.Stderr, *full, installNode, upgradeNode)
}

// The names of the nodes.
const (
	installNode = "install"
	upgradeNode = "upgrade"
)

// upgradeScripts run in a node of their own: they install older releases of Tekton first.
var upgradeScripts = []string{"08-upgrade", "09-cert-manager", "10-article", "11-lines-full", "12-components-full"}

var full = flag.Bool("full", false, "run the scripts whose names end in -full, too")

func TestScenarios(t *testing.T) {
	place, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { place.end(t) })
	defer func() { t.Logf("scenarios:\n%s", strings.Join(place.told, "\n")) }()
	scripts, err := place.scripts()
	if err != nil {
		t.Fatal(err)
	}
	testscript.RunT(inOrder{t, place}, testscript.Params{
		Files: scripts,
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
			"attested":     place.attested,
			"cert-manager": place.certManager,
			"compare":      place.compare,
			"database":     place.database,
			"exist":        place.exist,
			"fetch":        place.fetch,
			"foreign":      place.foreign,
			"ask":          place.ask,
			"browse":       place.browse,
			"forge":        place.forge,
			"image":        place.image,
			"many":         place.many,
			"objects":      place.objects,
			"reach":        place.reach,
			"sign":         place.sign,
			"signature":    place.signature,
			"same":         place.same,
			"silent":       place.silent,
			"statuses":     place.statuses,
			"trouble":      place.trouble,
		},
		Condition: func(name string) (bool, error) {
			if name == "node" { // one that was made for the scripts, and may be broken
				return place.node != nil, nil
			}
			if name == "full" { // the rest of a script is for make e2e-full alone
				return *full, nil
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
	name     string                   // of the node
	issuing  *certmanager.Controllers // nil before a script wants them
	told     []string                 // how each script ended, and when
	lost     bool                     // nothing could be installed
}

// installing is the script that installs what the others need.
const installing = "01-"

// scripts returns the files to run here, and notes which ones are left out.
func (p *place) scripts() ([]string, error) {
	all, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, file := range all {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		switch {
		case p.node != nil && slices.Contains(upgradeScripts, name) != (p.name == upgradeNode):
		case strings.HasSuffix(name, "-full") && !*full:
			p.told = append(p.told, name+": NOT RUN, since it takes minutes; make e2e-full runs it")
		default:
			files = append(files, file)
		}
	}
	if p.name == upgradeNode && len(files)+len(p.told) != len(upgradeScripts) {
		return nil, fmt.Errorf("of the scripts %v only the files %v exist", upgradeScripts, files)
	}
	return files, nil
}

// find starts the node, or looks at the cluster that is given.
func find(ctx context.Context) (*place, error) {
	parts, inside, err := node.Inside()
	if err != nil {
		return nil, err
	}
	if !inside {
		return given()
	}
	options := node.Options{Pairs: []string{node.Current}, Policies: *full && parts.Name == installNode}
	if parts.Name == upgradeNode {
		options.Pairs = append(options.Pairs, node.Previous, node.Article)
		if *full {
			options.Pairs = append(options.Pairs, node.Components)
			options.Pairs = append(options.Pairs, node.Lines()...)
		}
	}
	n, err := node.Start(ctx, parts, options, os.Stderr)
	if err != nil {
		dir, failed := folder("start-" + parts.Name)
		if failed == nil {
			failed = keep(filepath.Join(parts.Dir, "logs"), dir)
		}
		return nil, errors.Join(err, failed)
	}
	p := &place{
		node: n, name: parts.Name, path: []string{parts.Bin, parts.Kubernetes, parts.Tkn},
		password: node.RegistryPassword,
	}
	p.env = map[string]string{
		"KUBECONFIG":    n.Cluster.Kubeconfig,
		"CONFIG":        n.Config,
		"MIRROR":        node.Mirror,
		"CA":            n.CA,
		"REGISTRY":      node.RegistryHost,
		"REGISTRY_HOST": node.RegistryHost,
		"REGISTRY_USER": node.RegistryUser,
		"GIT_HOST":      node.GitHost,
		"GIT_KEY":       n.GitKey,
		"FORGE_HOST":    node.ForgeHost,
		"ARTICLE":       n.Manifests[node.Article],
		"COMPONENTS":    node.AllComponents(),
	}
	for i, l := range release.Lines {
		prefix := fmt.Sprintf("LINE_%d", len(release.Lines)-i) // LINE_1 is the oldest
		p.env[prefix], p.env[prefix+"_PIPELINE"], p.env[prefix+"_TRIGGERS"] = l.Name, l.Pipeline, l.Triggers
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
	p.env["REGISTRY_HOST"], _, _ = strings.Cut(p.env["REGISTRY"], "/")
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
