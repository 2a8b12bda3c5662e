package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// What an installation asks cert-manager for, and what that makes of it.
var (
	requested = []string{
		"cert-manager.io/v1 Certificate tekgate/tekgate-webhook-tls", "cert-manager.io/v1 Certificate tekgate/tekgate-interceptor-tls",
		"cert-manager.io/v1 Certificate tekgate/tekgate-ca", "cert-manager.io/v1 Issuer tekgate/tekgate-ca", "cert-manager.io/v1 Issuer tekgate/tekgate-self-signed",
		"rbac.authorization.k8s.io/v1 Role tekgate/tekgate-webhook-certificate",
	}
	fromCertManager = []string{"v1 Secret tekgate/tekgate-webhook-tls", "v1 Secret tekgate/tekgate-interceptor-tls", "v1 Secret tekgate/tekgate-ca"}
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
	s.t.Helper()
	args := append([]string{"install", "--config", certificatesFile(s.t, certificates), "--skip-probe", "--yes"}, s.kubeconfig...)
	_, talk, err := tekgate(s.t, "", append(args, flags...)...)
	return talk, err
}

func (s *site) installs(certificates, want string) {
	s.t.Helper()
	talk, err := s.installed(certificates, "--wait=false")
	if err != nil || !strings.Contains(talk, "note: "+want) {
		s.t.Fatalf("with certificates %s: error %v\n%s", certificates, err, talk)
	}
}

// TestCertificatesOfCertManager installs with and without cert-manager, from one
// source of certificates to the other and back.
func TestCertificatesOfCertManager(t *testing.T) {
	c := cluster.StartEmpty(t)
	s := newSiteOn(t, c)
	if _, err := s.installed("{source: cert-manager}", "--dry-run"); err == nil || !strings.Contains(err.Error(), "install cert-manager first, or set certificates.source to self") {
		t.Errorf("without cert-manager: %v", err)
	}
	s.installs("{source: auto}", "the servers sign their own certificates, since the cluster serves no cert-manager")
	s.expect(false, requested...)

	certmanager.Start(t, c)
	s.installs("{source: auto}", "the servers get their certificates from cert-manager, by a CA that it makes for them")
	s.expect(true, requested...)
	s.eventually("everything is issued", func() bool {
		return s.has(fromCertManager[0]) && s.has(fromCertManager[1]) && s.has(fromCertManager[2])
	})
	if !s.serversUse("--certificate-secret=tekgate-webhook-tls", "tekgate-webhook") || !s.serversUse("--certificate-secret=tekgate-interceptor-tls", "tekgate-interceptor") {
		t.Error("the servers are not told of their Secrets")
	}
	out, talk := must(t, append([]string{"diff", "--exit-code", "--config", certificatesFile(t, "{source: auto}")}, s.kubeconfig...)...)
	if out != "" || !strings.Contains(talk, " 0 would change") {
		t.Errorf("diff after install says\n%s%s", out, talk)
	}

	s.installs("{source: self}", "the servers sign their own certificates (certificates.source: self)")
	s.expect(false, requested...)
	s.expect(true, fromCertManager...) // nobody waited until the old Pods had gone
	if s.serversUse("--certificate-secret=tekgate-webhook-tls", "tekgate-webhook") {
		t.Error("the admission server is still told of cert-manager's Secret")
	}
	s.testIssuers()

	s.installs("{source: cert-manager}", "the servers get their certificates from cert-manager")
	if talk, err := s.uninstall(); err != nil {
		t.Fatalf("%v\n%s", err, talk)
	}
	s.expect(false, append(requested, fromCertManager...)...)
}

// testIssuers names issuers of the house: one that is not there, one that cannot issue,
// and one that can.
func (s *site) testIssuers() {
	s.t.Helper()
	named := "{issuerRef: {kind: ClusterIssuer, name: house}}"
	if _, err := s.installed(named, "--wait=false"); err == nil || !strings.Contains(err.Error(), "certificates.issuerRef names ClusterIssuer/house, which does not exist") {
		s.t.Errorf("an issuer that is not there: %v", err)
	}
	s.create("apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: house}\nspec: {ca: {secretName: absent}}\n")
	_, err := s.installed(named, "--timeout=10s")
	if err == nil || !strings.Contains(err.Error(), "still waiting for Certificate/tekgate/tekgate-") || !strings.Contains(err.Error(), "to be issued by cert-manager (") {
		s.t.Errorf("an issuer that cannot issue: %v", err)
	}
	s.t.Logf("an issuer that cannot issue: %v", err)
	if s.serversUse("--certificate-secret=tekgate-webhook-tls", "tekgate-webhook") {
		s.t.Error("the servers were changed although nothing is issued")
	}
	s.patch("cert-manager.io/v1 ClusterIssuer house", `{"spec":{"ca":null,"selfSigned":{}}}`)
	s.installs(named, "the servers get their certificates from cert-manager, by ClusterIssuer house (certificates.source: auto)")
	s.expect(false, requested[2:5]...)
	s.expect(true, requested[:2]...)
}

func (s *site) serversUse(argument, deployment string) bool {
	s.t.Helper()
	obj := objectOf("apps/v1 Deployment tekgate/" + deployment)
	if err := s.client.Get(s.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		s.t.Fatal(err)
	}
	text, err := obj.MarshalJSON()
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(string(text), `"`+argument+`"`)
}

func (s *site) eventually(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Without a cluster the configuration's word is taken.
func TestRenderCertificates(t *testing.T) {
	for source, want := range map[string]bool{"auto": false, "self": false, "cert-manager": true} {
		out, _ := must(t, "render", "--config", certificatesFile(t, "{source: "+source+"}"))
		for _, part := range []string{"name: tekgate-webhook-tls", "--certificate-secret=tekgate-interceptor-tls", "kind: Issuer"} {
			if strings.Contains(out, part) != want {
				t.Errorf("source %s renders %q: %v, want %v", source, part, !want, want)
			}
		}
		if strings.Contains(out, "source: "+source) {
			t.Errorf("source %s is the servers' business", source)
		}
	}
	out, _ := must(t, "render", "--config", certificatesFile(t, "{source: cert-manager, issuerRef: {kind: ClusterIssuer, name: house}}\ninstall: {webhookURL: 'https://10.1.2.3:9443'}"))
	if strings.Contains(out, "kind: Issuer\n") || strings.Count(out, "name: house") != 2 || !strings.Contains(out, "- 10.1.2.3\n") {
		t.Error("an issuer of the house, or a server's address, is not asked for")
	}
}
