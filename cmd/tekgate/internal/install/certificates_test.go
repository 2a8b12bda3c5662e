package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// What an installation asks cert-manager for, and what that makes of it.
var (
	requested = []string{
		"cert-manager.io/v1 Certificate tekgate/tekgate-webhook-tls",
		"cert-manager.io/v1 Certificate tekgate/tekgate-interceptor-tls",
		"cert-manager.io/v1 Certificate tekgate/tekgate-ca", "cert-manager.io/v1 Issuer tekgate/tekgate-ca",
		"cert-manager.io/v1 Issuer tekgate/tekgate-self-signed",
		"rbac.authorization.k8s.io/v1 Role tekgate/tekgate-webhook-certificate",
	}
	fromCertManager = []string{"v1 Secret tekgate/tekgate-webhook-tls", "v1 Secret tekgate/tekgate-interceptor-tls",
		"v1 Secret tekgate/tekgate-ca"}
)

const certificatesConfig = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: registry.example.com/tekton}\ncertificates: "

func certificatesFile(t *testing.T, certificates string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tekgate.yaml")
	if err := os.WriteFile(file, []byte(certificatesConfig+certificates+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// installed runs install with a section certificates, and returns what it said.
func (s *site) installed(certificates string, flags ...string) (string, error) {
	s.T.Helper()
	args := append([]string{"install", "--config", certificatesFile(s.T, certificates), "--skip-probe", "--yes"},
		s.Kubeconfig...)
	_, errOut, err := program.Run(s.T, "", append(args, flags...)...)
	return errOut, err
}

func (s *site) installs(certificates, want string) {
	s.T.Helper()
	errOut, err := s.installed(certificates, "--wait=false")
	if err != nil || !strings.Contains(errOut, "note: "+want) {
		s.T.Fatalf("with certificates %s: error %v\n%s", certificates, err, errOut)
	}
}

// TestCertificatesOfCertManager installs with and without cert-manager, from one
// source of certificates to the other and back.
func TestCertificatesOfCertManager(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	s := newSiteOn(t, c)
	if _, err := s.installed("{source: cert-manager}", "--dry-run"); err == nil ||
		!strings.Contains(err.Error(), "install cert-manager first, or set certificates.source to self") {
		t.Errorf("without cert-manager: %v", err)
	}
	s.installs("{source: auto}", "the servers sign their own certificates, since the cluster serves no cert-manager")
	s.Expect(false, requested...)

	certmanager.Start(t, c)
	s.installs("{source: auto}", "the servers get their certificates from cert-manager, by a CA that it makes for them")
	s.Expect(true, requested...)
	s.Eventually("everything is issued", func() bool {
		return s.Has(fromCertManager[0]) && s.Has(fromCertManager[1]) && s.Has(fromCertManager[2])
	})
	if !s.serversUse("--certificate-secret=tekgate-webhook-tls", "tekgate-webhook") ||
		!s.serversUse("--certificate-secret=tekgate-interceptor-tls", "tekgate-interceptor") {
		t.Error("the servers are not told of their Secrets")
	}
	out, errOut := program.Must(t,
		append([]string{"diff", "--exit-code", "--config", certificatesFile(t, "{source: auto}")}, s.Kubeconfig...)...)
	if out != "" || !strings.Contains(errOut, " 0 would change") {
		t.Errorf("diff after install says\n%s%s", out, errOut)
	}

	s.installs("{source: self}", "the servers sign their own certificates (certificates.source: self)")
	s.Expect(false, requested...)
	s.Expect(true, fromCertManager...) // nobody waited until the old Pods had gone
	if s.serversUse("--certificate-secret=tekgate-webhook-tls", "tekgate-webhook") {
		t.Error("the admission server is still told of cert-manager's Secret")
	}
	s.testIssuers()

	s.installs("{source: cert-manager}", "the servers get their certificates from cert-manager")
	if errOut, err := s.Uninstall(); err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	s.Expect(false, append(requested, fromCertManager...)...)
}

// testIssuers names issuers of the house: one that is not there, one that cannot issue,
// and one that can.
func (s *site) testIssuers() {
	s.T.Helper()
	named := "{issuerRef: {kind: ClusterIssuer, name: house}}"
	if _, err := s.installed(named, "--wait=false"); err == nil ||
		!strings.Contains(err.Error(), "certificates.issuerRef names ClusterIssuer/house, which does not exist") {
		s.T.Errorf("an issuer that is not there: %v", err)
	}
	s.Create(
		"apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: house}\nspec: {ca: {secretName: absent}}\n")
	_, err := s.installed(named, "--timeout=10s")
	if err == nil || !strings.Contains(err.Error(), "still waiting for Certificate/tekgate/tekgate-") ||
		!strings.Contains(err.Error(), "to be issued by cert-manager (") {
		s.T.Errorf("an issuer that cannot issue: %v", err)
	}
	s.T.Logf("an issuer that cannot issue: %v", err)
	if s.serversUse("--certificate-secret=tekgate-webhook-tls", "tekgate-webhook") {
		s.T.Error("the servers were changed although nothing is issued")
	}
	s.Patch("cert-manager.io/v1 ClusterIssuer house", `{"spec":{"ca":null,"selfSigned":{}}}`)
	s.installs(named,
		"the servers get their certificates from cert-manager, by ClusterIssuer house (certificates.source: auto)")
	s.Expect(false, requested[2:5]...)
	s.Expect(true, requested[:2]...)
}

func (s *site) serversUse(argument, deployment string) bool {
	s.T.Helper()
	obj := clitest.ObjectOf("apps/v1 Deployment tekgate/" + deployment)
	if err := s.Client.Get(s.T.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		s.T.Fatal(err)
	}
	text, err := obj.MarshalJSON()
	if err != nil {
		s.T.Fatal(err)
	}
	return strings.Contains(string(text), `"`+argument+`"`)
}
