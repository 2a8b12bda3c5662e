package status

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/installed"
)

func (s *site) status() *installed.Status {
	s.T.Helper()
	out, _ := program.Must(s.T, append([]string{"status", "-o", "json"}, s.Kubeconfig...)...)
	var status installed.Status
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		s.T.Fatal(err)
	}
	return &status
}

func TestStatus(t *testing.T) {
	s := newSite(t)
	if got := s.status(); got.State != installed.Absent || strings.Contains(clitest.JSON(t, got), "null") {
		t.Errorf("an empty cluster: %s", clitest.JSON(t, got))
	}

	s.Install()
	got := s.status()
	if got.State != installed.Complete || got.Versions.Pipeline != "v1.15.1" || got.Versions.Triggers != "v0.37.0" ||
		got.Versions.Tekgate == "" {
		t.Errorf("state %s, versions %+v", got.State, got.Versions)
	}
	if len(got.Mirrors) != 1 || got.Mirrors[0].Host != "registry.example.com" || got.Mirrors[0].Images < 14 {
		t.Errorf("mirrors %+v", got.Mirrors)
	}
	out, _ := program.Must(t, append([]string{"status"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out, "the last install ended well", "Tekton Pipelines   v1.15.1", "registry.example.com",
		"tekton-pipelines/tekton-pipelines-controller", "0/1",
		"taskruns.mutate.tekgate.dev", "Ignore", "no", "cel")

	// An install that was interrupted before it came to the webhooks.
	inventory, err := installer.ReadInventory(t.Context(), s.Client)
	if err != nil {
		t.Fatal(err)
	}
	inventory.Attempted, inventory.Objects, inventory.Complete = inventory.Objects, nil, false
	if err := installer.WriteInventory(t.Context(), s.Client, inventory, inventory); err != nil {
		t.Fatal(err)
	}
	s.Delete("admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutate.tekgate.dev")
	if got := s.status(); got.State != installed.Interrupted ||
		strings.Join(got.Missing, " ") != "MutatingWebhookConfiguration/mutate.tekgate.dev" {
		t.Errorf("state %s, missing %v", got.State, got.Missing)
	}
	out, _ = program.Must(t, append([]string{"status"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out,
		"the first install was interrupted: run it again to go on, or `tekgate uninstall` to remove what it applied",
		"1 objects are missing: MutatingWebhookConfiguration/mutate.tekgate.dev")

	// An upgrade that was interrupted has a release to return to.
	inventory.Objects = inventory.Attempted
	if err := installer.WriteInventory(t.Context(), s.Client, inventory, inventory); err != nil {
		t.Fatal(err)
	}
	out, _ = program.Must(t, append([]string{"status"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out, "was interrupted: run it again to go on, or `tekgate rollback`")

	// Tekton that another tool installed.
	s.Delete("v1 Secret tekgate/tekgate-inventory")
	if got := s.status(); got.State != installed.Unknown || got.Versions.Pipeline != "v1.15.1" {
		t.Errorf("without an inventory: state %s, versions %+v", got.State, got.Versions)
	}
}

// TestStatusOfTerminatingNamespaces holds that a namespace which is still being deleted is named,
// since nothing can be installed until it is gone.
func TestStatusOfTerminatingNamespaces(t *testing.T) {
	s := newSite(t)
	s.Create("apiVersion: v1\nkind: Namespace\nmetadata: {name: tekton-pipelines, finalizers: [example.com/hold]}\n")
	s.Delete("v1 Namespace tekton-pipelines")
	t.Cleanup(func() {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
		held := clitest.ObjectOf("v1 Namespace tekton-pipelines")
		if err := s.Client.Patch(context.Background(), held, patch); err != nil {
			t.Error(err)
		}
	})
	if got := s.status(); got.State != installed.Absent || len(got.Terminating) != 1 {
		t.Errorf("state %s, terminating %q", got.State, got.Terminating)
	}
	out, _ := program.Must(t, append([]string{"status"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out, "nothing is installed, and namespaces of an earlier installation are being terminated",
		"namespace tekton-pipelines", "wait until they are gone")
}

// TestStatusErrorAsJSON holds that a program which reads JSON finds the error there.
func TestStatusErrorAsJSON(t *testing.T) {
	t.Setenv("KUBECONFIG", "/does/not/exist")
	out, _, err := program.Run(t, "", "status", "-o", "json")
	var got struct{ Error string }
	if json.Unmarshal([]byte(out), &got) != nil || err == nil || got.Error != err.Error() ||
		!strings.Contains(got.Error, "/does/not/exist, which does not exist") {
		t.Errorf("printed %q, error %v", out, err)
	}
}
