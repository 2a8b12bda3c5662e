package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A binding that a misspelt reference almost names, and the review that anyone can make up.
const (
	payrollBinding = "{apiVersion: triggers.tekton.dev/v1beta1, kind: ClusterTriggerBinding, " +
		"metadata: {name: payroll-binding}, spec: {params: []}}"
	payrollReview = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u",
		"operation":"CREATE","dryRun":true,"namespace":"ci",
		"kind":{"group":"triggers.tekton.dev","version":"v1beta1","kind":"EventListener"},
		"object":{"apiVersion":"triggers.tekton.dev/v1beta1","kind":"EventListener",
		"metadata":{"name":"l","namespace":"ci"},"spec":{"triggers":[{"name":"t","template":{"spec":{}},
		"bindings":[{"kind":"ClusterTriggerBinding","ref":"payroll-bindin"}]}]}}}}`
)

// testUnverified sends a made-up review over TLS, as any Pod can that reaches the server: only
// a caller that the configuration knows as an API server learns what the cluster holds.
func (b *bed) testUnverified() {
	b.create(b.parse(payrollBinding))
	own, other := newClientCA(b.T), newClientCA(b.T)
	if text := b.review(nil); strings.Contains(text, "payroll-binding") || !strings.Contains(text, "payroll-bindin") {
		b.Errorf("anyone is told %s", text)
	}
	b.rewrite(configuredBuilder + "install: {apiServerCIDRs: [127.0.0.1/32]}\n")
	b.eventually("an address of the API servers is verified", func() error { return tells(b.review(nil), true) })
	b.rewrite(configuredBuilder + "install: {apiServerCIDRs: [192.0.2.1/32]}\n")
	b.eventually("another address is not", func() error { return tells(b.review(nil), false) })
	b.rewrite(configuredBuilder + "install:\n  apiServerClient:\n    names: [kube-apiserver]\n    ca: |\n      " +
		strings.ReplaceAll(own.pem(), "\n", "\n      ") + "\n")
	good := own.sign(b.T, "kube-apiserver", x509.ExtKeyUsageClientAuth)
	b.eventually("a certificate of the API servers is verified", func() error { return tells(b.review(good), true) })
	for what, certificate := range map[string]*tls.Certificate{
		"no certificate": nil, "one of another CA": other.sign(b.T, "kube-apiserver", x509.ExtKeyUsageClientAuth),
		"one of another name": own.sign(b.T, "system:node:n1", x509.ExtKeyUsageClientAuth),
		"one of a server":     own.sign(b.T, "kube-apiserver", x509.ExtKeyUsageServerAuth),
	} {
		if err := tells(b.review(certificate), false); err != nil {
			b.Errorf("%s: %v", what, err)
		}
	}
	b.rewrite(configuredBuilder)
	b.eventually("the first configuration is used again", func() error { return tells(b.review(good), false) })
}

// tells returns an error unless an answer names what was looked up, or does not.
func tells(answer string, want bool) error {
	if strings.Contains(answer, "payroll-binding") != want || !strings.Contains(answer, "payroll-bindin") {
		return fmt.Errorf("it is %s", answer)
	}
	return nil
}

// review returns the answer to payrollReview for a caller with a client certificate, or none.
func (b *bed) review(certificate *tls.Certificate) string {
	b.Helper()
	caller := b.https()
	transport, _ := caller.Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	if certificate != nil {
		transport.TLSClientConfig.Certificates = []tls.Certificate{*certificate}
	}
	answer, err := caller.Post("https://"+b.address+"/validate", "application/json",
		bytes.NewReader([]byte(payrollReview)))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// clientCA signs client certificates.
type clientCA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newClientCA(t *testing.T) *clientCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &clientCA{certificate, key}
}

func (c *clientCA) pem() string {
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.certificate.Raw})))
}

func (c *clientCA) sign(t *testing.T, name string, usage x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, &key.PublicKey, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
