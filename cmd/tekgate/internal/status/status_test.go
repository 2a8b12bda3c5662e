package status

import (
	"encoding/json"
	"strings"
	"testing"

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
	clitest.InOrder(t, out, "the last install was interrupted: run it again to go on",
		"1 objects are missing: MutatingWebhookConfiguration/mutate.tekgate.dev")

	// Tekton that another tool installed.
	s.Delete("v1 Secret tekgate/tekgate-inventory")
	if got := s.status(); got.State != installed.Unknown || got.Versions.Pipeline != "v1.15.1" {
		t.Errorf("without an inventory: state %s, versions %+v", got.State, got.Versions)
	}
}
