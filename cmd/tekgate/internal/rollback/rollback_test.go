package rollback

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/install"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer"
)

// program has the verbs that the tests of this package run.
var program = clitest.Program{Command, install.Command}

const configHead = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: registry.example.com/tekton}\n"

// state returns what an upgrade to another mirror and configuration changes.
func state(t *testing.T, s *clitest.Site) string {
	t.Helper()
	var all []string
	for _, named := range []string{
		"v1 ConfigMap tekgate/tekgate-config", "v1 ConfigMap tekton-pipelines/feature-flags",
		"apps/v1 Deployment tekgate/tekgate-webhook", "apps/v1 Deployment tekton-pipelines/tekton-pipelines-controller",
	} {
		obj := clitest.ObjectOf(named)
		if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			t.Fatal(err)
		}
		all = append(all, named, clitest.JSON(t, obj.Object["data"]), clitest.JSON(t, obj.Object["spec"]))
	}
	return strings.Join(all, "\n")
}

// interrupt makes the record of the first install that of one that did not end.
func interrupt(t *testing.T, s *clitest.Site) {
	t.Helper()
	inventory, err := installer.ReadInventory(t.Context(), s.Client)
	if err != nil {
		t.Fatal(err)
	}
	inventory.Attempted, inventory.Objects, inventory.Complete = inventory.Objects, nil, false
	if err := installer.WriteInventory(t.Context(), s.Client, inventory, inventory); err != nil {
		t.Fatal(err)
	}
}

// TestRollback upgrades to a broken configuration and mirror, with an edit of the user's
// before and one after, and returns.
func TestRollback(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	s := clitest.NewSite(t, program, c.Config, c.Kubeconfig)
	run := func(args ...string) (string, error) {
		_, errOut, err := program.Run(t, "", append(args, s.Kubeconfig...)...)
		return errOut, err
	}
	if _, err := run("rollback"); err == nil || !strings.Contains(err.Error(), "the cluster records no release") {
		t.Errorf("in an empty cluster: %v", err)
	}
	installs := func(config string) {
		t.Helper()
		file := clitest.File(t, "tekgate.yaml", config)
		if errOut, err := run("install", "--config", file, "--skip-probe", "--wait=false", "--yes"); err != nil {
			t.Fatalf("%v\n%s", err, errOut)
		}
	}
	installs(configHead + "mutator: {serviceAccount: {name: first}}\n")
	_, err := run("rollback")
	if err == nil || !strings.Contains(err.Error(), "the cluster records no earlier release") {
		t.Errorf("after the first install: %v", err)
	}
	interrupt(t, s)
	_, err = run("rollback")
	if err == nil || !strings.Contains(err.Error(), "the first install was interrupted") ||
		!strings.Contains(err.Error(), "`tekgate uninstall`") {
		t.Errorf("after an interrupted first install: %v", err)
	}
	installs(configHead + "mutator: {serviceAccount: {name: first}}\n")
	s.Patch("v1 ConfigMap tekton-pipelines/feature-flags", `{"data":{"enable-api-fields":"alpha"}}`)
	before := state(t, s)
	installs(strings.ReplaceAll(configHead, "example.com", "example.org") + "mutator: {serviceAccount: {name: second}}\n")
	after := state(t, s)
	if before == after {
		t.Fatal("the upgrade changed nothing")
	}
	errOut, err := run("rollback", "--dry-run")
	if err != nil || !strings.Contains(errOut, "returning to Tekton Pipelines v1.15.1, Tekton Triggers v0.37.0, Tekgate ") ||
		!strings.Contains(errOut, "dry run, nothing was changed") || state(t, s) != after {
		t.Errorf("the dry run: error %v\n%s", err, errOut)
	}
	errOut, err = run("rollback", "--wait=false")
	if err != nil || !strings.Contains(errOut, "kept your enable-api-fields") {
		t.Fatalf("error %v\n%s", err, errOut)
	}
	if got := state(t, s); got != before {
		t.Errorf("after the rollback it is\n%s\nand was\n%s", got, before)
	}
	if errOut, err := run("rollback", "--wait=false"); err != nil || state(t, s) != after {
		t.Errorf("the second rollback does not return to the upgrade: error %v\n%s", err, errOut)
	}
}
