package check

import (
	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

// issuedTo returns the Secret with what cert-manager issues to a server, which is also
// the Certificate's name, or nothing where that server signs its own. Its Deployment
// says so, since that is what decides. caSecret is the name of its CA's Secret.
func issuedTo(ctx context.Context, s *state, caSecret string) (string, error) {
	deployment, err := s.Get(ctx, live.Deployment, live.Tekgate, strings.TrimSuffix(caSecret, "-ca"))
	if err != nil || deployment == nil {
		return "", err
	}
	for _, container := range live.Containers(deployment) {
		args, _, _ := unstructured.NestedStringSlice(container, "args")
		for _, arg := range args {
			if secret, found := strings.CutPrefix(arg, "--certificate-secret="); found {
				return secret, nil
			}
		}
	}
	return "", nil
}

func certificatesIssued(ctx context.Context, s *state) error {
	var found problems
	asked := false
	for _, caSecret := range caSecretNames {
		name, err := issuedTo(ctx, s, caSecret)
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		asked = true
		if err := isIssued(ctx, s, name, &found); err != nil {
			return err
		}
	}
	if !asked {
		return skip("the servers sign their own certificates")
	}
	return found.err()
}

func isIssued(ctx context.Context, s *state, name string, found *problems) error {
	certificate := &certmanager.Certificate{}
	exists, err := s.Find(ctx, live.Tekgate, name, certificate)
	if err != nil {
		return err
	}
	if !exists {
		found.add(
			"Certificate/%s/%s does not exist, and its server waits for it: run `tekgate install`",
			live.Tekgate,
			name,
		)
		return nil
	}
	if ready, why := live.Issued(certificate); !ready {
		found.add("Certificate/%s/%s is not ready: %s", live.Tekgate, name, why)
	}
	secret, err := s.Get(ctx, live.Secret, live.Tekgate, name)
	if err != nil {
		return err
	}
	if secret == nil {
		found.add("Secret/%s/%s does not exist: cert-manager has not issued it", live.Tekgate, name)
	} else if _, err := authority(secret, s.options.Now); err != nil {
		found.add("%s: %v", kube.Name(secret), err)
	}
	return nil
}

// chain returns the certificates of a Secret of cert-manager's, the server's own first;
// none where they cannot be read, which is the business of certificates-issued.
func chain(ctx context.Context, s *state, name string) ([]*x509.Certificate, error) {
	secret, err := s.Get(ctx, live.Secret, live.Tekgate, name)
	if err != nil || secret == nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(live.Text(secret.Object, "data", "tls.crt"))
	if err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	certificates, err := parse(text)
	if err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	return certificates, nil
}

// vouchesFor says whether who trusts a bundle trusts what cert-manager issued. What has
// expired is told of elsewhere.
func vouchesFor(ctx context.Context, s *state, bundle []*x509.Certificate, name string) (bool, error) {
	served, err := chain(ctx, s, name)
	if err != nil || len(served) == 0 || validAt(served[0], s.options.Now) != nil {
		return true, err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range bundle {
		roots.AddCert(c)
	}
	for _, c := range served[1:] {
		between.AddCert(c)
	}
	_, err = served[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: s.options.Now})
	return err == nil, nil
}

// issuedExpiry finds what cert-manager should have renewed.
func issuedExpiry(ctx context.Context, s *state, caSecret string, found *problems) error {
	name, err := issuedTo(ctx, s, caSecret)
	if err != nil || name == "" {
		return err
	}
	served, err := chain(ctx, s, name)
	if err != nil || len(served) == 0 {
		return err
	}
	c := served[0]
	if left := c.NotAfter.Sub(s.options.Now); left < min(soon, c.NotAfter.Sub(c.NotBefore)/6) {
		found.add(
			"Secret/%s/%s: the certificate expires at %s, and cert-manager has not renewed it",
			live.Tekgate,
			name,
			c.NotAfter.UTC().Format(time.RFC3339),
		)
	}
	secret, err := s.Get(ctx, live.Secret, live.Tekgate, name)
	if err != nil || secret == nil {
		return err
	}
	return expiringRoot(secret, s.options.Now, found)
}

// expiringRoot finds an issuer's CA that is about to expire.
func expiringRoot(secret *unstructured.Unstructured, now time.Time, found *problems) error {
	text, err := base64.StdEncoding.DecodeString(live.Text(secret.Object, "data", "ca.crt"))
	if err != nil || len(text) == 0 {
		return nil //nolint:nilerr // not every issuer says what its CA is
	}
	roots, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: its ca.crt %w", kube.Name(secret), err)
	}
	newest := roots[0]
	for _, c := range roots {
		if c.NotAfter.After(newest.NotAfter) {
			newest = c
		}
	}
	if left := newest.NotAfter.Sub(now); left < min(soon, newest.NotAfter.Sub(newest.NotBefore)/6) {
		found.add(
			"%s: the CA of its issuer expires at %s",
			kube.Name(secret),
			newest.NotAfter.UTC().Format(time.RFC3339),
		)
	}
	return nil
}
