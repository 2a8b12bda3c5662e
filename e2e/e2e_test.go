// Package e2e holds what the README promises, as scripts that a person can read
// and type: e2e/testdata/*.txtar, each run with the built programs against an
// API server of its own.
package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/release"
)

func TestScripts(t *testing.T) {
	if os.Getenv(cluster.KubeconfigEnv) != "" {
		t.Skipf("the scripts need an empty cluster each, and %s names one that is in use", cluster.KubeconfigEnv)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "../cmd/tekgate", "../cmd/webhook", "../cmd/interceptor")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			return setUp(t, env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"kube": kube,
		},
	})
}

// setUp gives a script a cluster ($KUBECONFIG) and two free addresses.
func setUp(t *testing.T, env *testscript.Env) error {
	c, err := cluster.New(t.Context(), os.Stderr)
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	k, err := client.New(c.Config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		return err
	}
	env.Values["client"] = k
	env.Setenv("KUBECONFIG", c.Kubeconfig)
	for _, name := range []string{"WEBHOOK", "INTERCEPTOR"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		env.Setenv(name, l.Addr().String())
		l.Close()
	}
	return nil
}

// kube is a very small kubectl:
//
//	kube create FILE            creates the objects of a file
//	kube get GV/KIND NS/NAME JSONPATH   prints a field
//	kube wait GV/KIND NS/NAME JSONPATH  waits until the field has a value
//
// An error is printed to standard error, as kubectl would.
func kube(ts *testscript.TestScript, neg bool, args []string) {
	err := kubeRun(ts, args)
	if err != nil {
		fmt.Fprintf(ts.Stderr(), "%v\n", err)
	}
	switch {
	case err != nil && !neg:
		ts.Fatalf("kube %s: %v", strings.Join(args, " "), err)
	case err == nil && neg:
		ts.Fatalf("kube %s succeeded", strings.Join(args, " "))
	}
}

func kubeRun(ts *testscript.TestScript, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "create":
		return create(ts, args[1])
	case len(args) == 4 && args[0] == "get":
		value, err := get(ts, args[1], args[2], args[3])
		fmt.Fprintln(ts.Stdout(), value)
		return err
	case len(args) == 4 && args[0] == "wait":
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if value, err := get(ts, args[1], args[2], args[3]); err == nil && value != "" {
				return nil
			}
		}
		return errors.New("it never came")
	}
	return errors.New("usage: kube create FILE | kube get|wait GV/KIND NS/NAME JSONPATH")
}

func create(ts *testscript.TestScript, file string) error {
	k := ts.Value("client").(client.Client)
	text := os.Expand(ts.ReadFile(file), func(name string) string {
		if value := ts.Getenv(name); value != "" {
			return value
		}
		return "$" + name
	})
	objects, err := release.Read(bytes.NewReader([]byte(text)))
	if err != nil {
		return err
	}
	for _, obj := range objects {
		if err := k.Create(context.Background(), obj); err != nil {
			return err
		}
		fmt.Fprintf(ts.Stdout(), "%s/%s created\n", obj.GetKind(), obj.GetName())
	}
	return nil
}

func get(ts *testscript.TestScript, kind, name, path string) (string, error) {
	k := ts.Value("client").(client.Client)
	i := strings.LastIndex(kind, "/")
	gv, err := schema.ParseGroupVersion(kind[:i])
	if err != nil {
		return "", err
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gv.WithKind(kind[i+1:]))
	namespace, base := filepath.Split(name)
	key := client.ObjectKey{Namespace: strings.TrimSuffix(namespace, "/"), Name: base}
	if err := k.Get(context.Background(), key, obj); err != nil {
		return "", err
	}
	expr := jsonpath.New("").AllowMissingKeys(true)
	if err := expr.Parse(path); err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = expr.Execute(&out, obj.Object)
	return out.String(), err
}
