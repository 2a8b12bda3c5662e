package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// file writes a file of the site's folder and returns its path.
func (s *site) file(name, text string) string {
	s.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// says runs a command line that must succeed, and returns its messages.
func (s *site) says(args ...string) string {
	s.Helper()
	_, errOut, err := clitest.Run(s.T, root(), "", args...)
	if err != nil {
		s.Fatalf("tekgate %s: %v", strings.Join(args, " "), err)
	}
	return errOut
}

// exists reports whether the cluster has an object.
func (s *site) exists(text string) bool {
	s.Helper()
	obj := s.object(text)
	err := s.client.Get(s.Context(), client.ObjectKeyFromObject(obj), obj)
	if err != nil && !apierrors.IsNotFound(err) {
		s.Fatal(err)
	}
	return err == nil
}

const (
	house   = "{apiVersion: v1, kind: Namespace, metadata: {name: house}}"
	account = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: account, namespace: house, labels: {owner: me}}}"
	ours    = "{apiVersion: v1, kind: ConfigMap, metadata: {name: ours, namespace: house}}"
)

// TestFoundObjectsStay holds that what was in the cluster before a manifest named it is neither
// removed with the manifest nor by an uninstall or a purge, and that this is said.
func TestFoundObjectsStay(t *testing.T) {
	s := newSite(t)
	for _, text := range []string{house, account} {
		if err := s.client.Create(t.Context(), s.object(text)); err != nil {
			t.Fatal(err)
		}
	}
	manifest := s.file("house.yaml", strings.Join([]string{house, account, ours,
		"{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}"}, "\n---\n"))
	install := s.install("registry.example.com")
	with := slices.Concat(install, []string{"--manifest", "house=" + manifest})
	without := slices.Concat(install, []string{"--without", "house"})

	// Refused halfway: what was there before the first attempt is still known to the second.
	s.refuse("ours")
	s.fails(with...)
	s.refuse()
	s.must(with...)
	said := s.says(with...)
	if strings.Contains(said, "was in the cluster before") {
		t.Errorf("a later install says it again:\n%s", said)
	}
	said = s.says(without...)
	if !strings.Contains(said, "ServiceAccount/house/account is no part of this release and stays, for it was in the cluster before Tekgate") {
		t.Errorf("it does not say what stays:\n%s", said)
	}
	if !s.exists(account) || !s.exists(house) || s.exists(ours) {
		t.Error("what was there is gone, or what the manifest brought stays")
	}

	said = s.says(with...)
	if !strings.Contains(said, "manifest house changes what was in the cluster before: ") ||
		!strings.Contains(said, "ServiceAccount/house/account") {
		t.Errorf("it does not say what it changes:\n%s", said)
	}
	s.must("rollback", "--wait=false", "--yes", "--kubeconfig", s.kubeconfig)
	if !s.exists(account) || s.exists(ours) {
		t.Error("the rollback removed what was there, or left what was not")
	}
	s.must(with...)
	s.must("uninstall", "--purge", "--yes", "--timeout", "60s", "--kubeconfig", s.kubeconfig)
	if !s.exists(account) || !s.exists(house) || s.exists(ours) {
		t.Error("the purge removed what was there, or left what was not")
	}
	if s.exists("{apiVersion: v1, kind: Namespace, metadata: {name: tekton-pipelines}}") {
		t.Error("the purge left Tekton's namespace")
	}
}

// TestOwnStateIsRefused holds that no manifest replaces what Tekgate itself writes, even if forced.
func TestOwnStateIsRefused(t *testing.T) {
	s := newSite(t)
	install := s.install("registry.example.com")
	s.must(install...)
	for name, text := range map[string]string{
		"Secret/tekgate/tekgate-inventory":   "{apiVersion: v1, kind: Secret, metadata: {name: tekgate-inventory, namespace: tekgate}, stringData: {a: b}}",
		"Lease/tekgate/tekgate-install":      "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: tekgate-install, namespace: tekgate}}",
		"Secret/tekgate/tekgate-webhook-tls": "{apiVersion: v1, kind: Secret, metadata: {name: tekgate-webhook-tls, namespace: tekgate}}",
	} {
		manifest := s.file("own.yaml", text)
		printed, err := s.run(slices.Concat(install, []string{"--force", "--manifest", "own=" + manifest})...)
		if err == nil || !strings.Contains(printed, name+", which Tekgate writes itself: take it out of them") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if said := s.says(install...); !strings.Contains(said, " 0 created, 0 configured, ") {
		t.Errorf("the installation is not what it was:\n%s", said)
	}
}

// TestComponentDoesNotComeBack holds that a component whose install was rolled back is not taken for
// installed because its namespace and its keys stay.
func TestComponentDoesNotComeBack(t *testing.T) {
	s := newSite(t)
	install := s.install("registry.example.com")
	s.must(install...)
	s.refuse("tekton-chains-controller")
	s.fails(slices.Concat(install, []string{"--with", "chains"})...)
	s.refuse()
	s.must("rollback", "--wait=false", "--yes", "--kubeconfig", s.kubeconfig)
	said := s.says(install...)
	if !strings.Contains(said, " 0 created, 0 configured, ") || strings.Contains(said, "Tekton Chains") {
		t.Errorf("after the rollback an install did\n%s", said)
	}
	out, _, err := clitest.Run(t, root(), "", "status", "--kubeconfig", s.kubeconfig)
	if err != nil || strings.Contains(out, "Chains") {
		t.Errorf("status: %v\n%s", err, out)
	}
}
