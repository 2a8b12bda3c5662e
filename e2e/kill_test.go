package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// An install that is killed, not asked to end, at the beginning of each of its
// stages in turn, and run again each time, ends where an undisturbed one does.
func TestKilledInstallGoesOn(t *testing.T) {
	tekgate := filepath.Join(t.TempDir(), "tekgate")
	if out, err := exec.Command("go", "build", "-o", tekgate, "../cmd/tekgate").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	undisturbed, killed := cluster.StartEmpty(t), cluster.StartEmpty(t)
	install := func(c *cluster.Cluster) *exec.Cmd {
		return exec.CommandContext(t.Context(), tekgate, "install", "--mirror", "registry.example.com/tekton",
			"--wait=false", "--skip-probe", "--kubeconfig", c.Kubeconfig)
	}
	for stage := 1; ; stage++ {
		if !killAt(t, stage, install(killed)) {
			if stage < 6 {
				t.Fatalf("there are only %d stages to be killed at", stage-1)
			}
			break
		}
	}
	if out, err := install(undisturbed).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, got := everything(t, undisturbed), everything(t, killed)
	if len(want) < 150 {
		t.Fatalf("only %d objects are compared", len(want))
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s is\n%s\nwant\n%s", name, got[name], text)
		}
	}
	for name := range got {
		if _, known := want[name]; !known {
			t.Errorf("%s is too many", name)
		}
	}
}

// killAt kills a command when it begins a stage. It returns false if the
// command ended well before.
func killAt(t *testing.T, stage int, cmd *exec.Cmd) bool {
	t.Helper()
	talk, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reached, said := false, ""
	for lines := bufio.NewScanner(talk); lines.Scan(); {
		said += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), fmt.Sprintf("stage %d of ", stage)) {
			reached = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil && !reached {
		t.Fatalf("%v\n%s", err, said)
	}
	return reached
}

// transient are the resources that the server writes by itself.
var transient = []string{"leases", "events", "componentstatuses", "apiservices"}

// everything returns the text of all objects of a cluster but those that the
// server makes itself, without what differs between any two installs.
func everything(t *testing.T, c *cluster.Cluster) map[string]string {
	t.Helper()
	k, err := client.New(c.Config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	lists, err := discovery.NewDiscoveryClientForConfigOrDie(c.Config).ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, list := range lists {
		gv, _ := schema.ParseGroupVersion(list.GroupVersion)
		for _, resource := range list.APIResources {
			if slices.Contains(resource.Verbs, "list") && !slices.Contains(transient, resource.Name) {
				add(t, k, gv.WithKind(resource.Kind), all)
			}
		}
	}
	return all
}

func add(t *testing.T, k client.Client, kind schema.GroupVersionKind, all map[string]string) {
	t.Helper()
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := k.List(context.Background(), found); err != nil {
		t.Fatal(err)
	}
	for i := range found.Items {
		obj := &found.Items[i]
		name := obj.GetName()
		if name == "tekgate-inventory" || name == "kubernetes" || obj.GetNamespace() == "kube-system" {
			continue
		}
		for _, field := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"} {
			unstructured.RemoveNestedField(obj.Object, "metadata", field)
		}
		delete(obj.Object, "status")
		// Addresses are drawn by lot.
		for _, field := range []string{"clusterIP", "clusterIPs"} {
			unstructured.RemoveNestedField(obj.Object, "spec", field)
		}
		if kind.Kind == "IPAddress" {
			continue
		}
		text, err := json.Marshal(obj.Object)
		if err != nil {
			t.Fatal(err)
		}
		all[kind.Group+" "+kind.Kind+" "+obj.GetNamespace()+"/"+obj.GetName()] = string(text)
	}
}
