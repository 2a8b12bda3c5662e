package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// issuersCA is where cert-manager puts the CA of the issuer, if that tells it.
const issuersCA = "ca.crt"

// errNotLooked is the trouble until the Secret was read.
var errNotLooked = errors.New("the certificate that cert-manager issues has not been read yet")

// issuedCertificate returns what cert-manager issued.
func (a *Authority) issuedCertificate() (*tls.Certificate, error) {
	l := a.current.Load()
	if l == nil {
		return nil, a.Trouble()
	}
	return l.certificate, nil
}

// Trouble says why cert-manager's certificate could not be read the last time, or
// returns nil. What was read before is served on.
func (a *Authority) Trouble() error {
	if err := a.trouble.Load(); err != nil {
		return *err
	}
	if a.options.Issued != "" && a.current.Load() == nil {
		return errNotLooked
	}
	return nil
}

// look reads what cert-manager issued. The first that is found is served at once,
// since without it nothing would be.
func (a *Authority) look(ctx context.Context) {
	found, err := a.readIssued(ctx)
	if err != nil {
		a.trouble.Store(&err)
		return
	}
	a.trouble.Store(nil)
	a.offered = found
	if l := a.current.Load(); l == nil || a.now().After(l.certificate.Leaf.NotAfter) {
		a.current.Store(found)
	}
}

// takeOffer serves the newest certificate, once clients had the time to read its CA.
func (a *Authority) takeOffer() {
	s := a.state.Load()
	if a.offered == nil || !within(s.roots, a.offered.roots) || s.since.IsZero() ||
		a.now().Sub(s.since) < a.options.Overlap {
		return
	}
	a.current.Store(a.offered)
}

// follow has the CAs of the newest certificate join the bundle. Those before it stay
// for as long as in any replacement, and until no replica can serve what they signed.
func (a *Authority) follow(secret *corev1.Secret, now time.Time) (changed bool) {
	before := certificatesIn(secret.Data[issued.certificates])
	if within(before, a.offered.roots) {
		if elapsed(secret, issued.publishedAt, now) < a.options.Overlap {
			return false
		}
		return dropPrevious(secret, now)
	}
	secret.Data[previous] = lasting(append(before, certificatesIn(secret.Data[previous])...), now)
	secret.Data[issued.certificates] = a.offered.roots
	delete(secret.Annotations, issued.publishedAt)
	secret.Annotations[promotedAt] = now.UTC().Format(time.RFC3339)
	return true
}

// mostPrevious bounds what is kept of CAs that were replaced: an issuer may have another
// for each certificate, and all but the last are there for caution.
const mostPrevious = 16

// lasting returns the first certificates of a bundle that have not expired.
func lasting(bundle []byte, now time.Time) []byte {
	var kept [][]byte
	for _, text := range single(bundle) {
		block, _ := pem.Decode(text)
		c, err := x509.ParseCertificate(block.Bytes)
		if err == nil && now.Before(c.NotAfter) && len(kept) < mostPrevious {
			kept = append(kept, text)
		}
	}
	return bytes.Join(kept, nil)
}

// within says whether a bundle holds every certificate of another one.
func within(bundle, other []byte) bool {
	return !slices.ContainsFunc(single(other),
		func(certificate []byte) bool { return !bytes.Contains(bundle, certificate) })
}

// single takes a bundle apart.
func single(bundle []byte) [][]byte {
	const end = "-----END CERTIFICATE-----\n"
	all := bytes.SplitAfter(certificatesIn(bundle), []byte(end))
	return all[:len(all)-1]
}

// readIssued reads the certificate and tells apart what can be wrong with it. No
// error holds any of the key.
func (a *Authority) readIssued(ctx context.Context) (*leaf, error) {
	o := a.options
	secret := &corev1.Secret{}
	err := o.Client.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Issued}, secret)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf(
			"waiting for cert-manager: Secret %s/%s is not there yet: `kubectl -n %[1]s describe certificate %[2]s` says why", o.Namespace, o.Issued)
	}
	if err == nil {
		var found *leaf
		if found, err = a.parseIssued(secret); err == nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("reading the certificate of cert-manager in Secret %s/%s: %w", o.Namespace, o.Issued, err)
}

func (a *Authority) parseIssued(secret *corev1.Secret) (*leaf, error) {
	text := secret.Data[corev1.TLSCertKey]
	if was := a.offered; was != nil && bytes.Equal(certificatesIn(text), chainOf(was.certificate)) &&
		bytes.Equal(rootsOf(secret), was.roots) {
		return was, nil
	}
	pair, err := tls.X509KeyPair(text, secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("%s and %s are not a certificate and its key", corev1.TLSCertKey,
			corev1.TLSPrivateKeyKey)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("%s is not a certificate", corev1.TLSCertKey)
		}
	}
	roots := rootsOf(secret)
	chain, err := vouched(&pair, roots, a.now())
	if err != nil {
		return nil, err
	}
	if name := serviceName(a.options.DNSNames); name != "" && pair.Leaf.VerifyHostname(name) != nil {
		return nil, fmt.Errorf(
			"it is not for %s, by which clients call this server: add that to the Certificate's dnsNames", name)
	}
	return &leaf{certificate: &pair, signer: chain[len(chain)-1], roots: roots}, nil
}

func chainOf(c *tls.Certificate) []byte {
	var text []byte
	for _, der := range c.Certificate {
		text = append(text, encodeCertificate(der)...)
	}
	return text
}

// rootsOf returns what to trust. Not every issuer says what its CA is (ACME does not,
// others that end at an intermediate may not), and then it is the last certificate of
// the chain, which may be the leaf itself: clients in Go take any certificate that
// they are told to trust for an anchor.
func rootsOf(secret *corev1.Secret) []byte {
	if roots := certificatesIn(secret.Data[issuersCA]); len(roots) > 0 {
		return roots
	}
	chain := single(secret.Data[corev1.TLSCertKey])
	if len(chain) == 0 {
		return nil
	}
	return chain[len(chain)-1]
}

// vouched returns the chain from a certificate to one of the roots.
func vouched(pair *tls.Certificate, roots []byte, now time.Time) ([]*x509.Certificate, error) {
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	chains, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, CurrentTime: now})
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.After(invalid.Cert.NotAfter):
		return nil, fmt.Errorf("it expired at %s, or its CA did", invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return nil, fmt.Errorf("it is valid from %s only, so check the clock first",
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339))
	case err != nil:
		return nil, fmt.Errorf("its %s does not vouch for it", issuersCA)
	}
	return chains[0], nil
}

// serviceName returns the name by which clients call a Service.
func serviceName(names []string) string {
	i := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, ".svc") })
	if i < 0 {
		return ""
	}
	return names[i]
}
