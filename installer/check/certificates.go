package check

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

var certificateChecks = []Check{
	{
		ID: "ca-secrets", Category: "certificates",
		Title: "the CAs of both servers are there and valid",
		Fatal: true, Retry: true, Needs: "read-access",
		Doc: "Each server signs its certificate with a CA of its own, which it makes at its first start and keeps in the Secret tekgate-webhook-ca or tekgate-interceptor-ca.\n\n" +
			"A CA that cannot be used is never overwritten, because that would cut off everybody who trusts it: delete the Secret and restart that server's Deployment to get a new one. Where cert-manager issues the certificates the question is that of certificates-issued.",
		run: caSecrets,
	},
	{
		ID: "certificates-issued", Category: "certificates",
		Title: "cert-manager has issued the certificates of both servers",
		Fatal: true, Retry: true, Needs: "read-access",
		Doc: "Where `certificates.source` is cert-manager, or auto on a cluster that serves it, each server serves what the Certificate tekgate-webhook-tls or tekgate-interceptor-tls has put into the Secret of the same name.\n\n" +
			"The message has cert-manager's own reason; `kubectl -n tekgate describe certificate,certificaterequest,issuer` has the rest. Until it is mended the servers serve what they have, and a server that starts without any is not ready. `certificates.source: self` lets them sign their own.",
		run: certificatesIssued,
	},
	{
		ID: "ca-bundles", Category: "certificates",
		Title: "whoever calls the servers trusts their CAs",
		Fatal: true, Retry: true, Needs: "read-access",
		Doc: "The caBundle of a webhook or of the ClusterInterceptor has to hold the certificate in the CA's Secret, or vouch for the one that cert-manager issued; otherwise every call fails with an unknown authority.\n\n" +
			"The servers write it at their start: restart the Deployment. If it is overwritten again, some other tool applies that object with a caBundle of its own.",
		run: caBundles,
	},
	{
		ID: "ca-expiry", Category: "certificates",
		Title: "no certificate expires within thirty days",
		Needs: "read-access",
		Doc:   "After that moment every call to the server fails. The question is about CAs, and about what cert-manager issues, which may live for a shorter time: it should have been renewed when a third of that was left, and is told of where less than a sixth is. What a server signs itself lives for a week, and only its server knows it.\n\nThe servers replace their CAs by themselves, long before: if one has not, its log says why, and `kubectl -n tekgate annotate secret tekgate-interceptor-ca tekgate.dev/rotate-ca=now`, or with tekgate-webhook-ca, makes it begin. For cert-manager's see certificates-issued; `cmctl renew -n tekgate tekgate-webhook-tls` makes it begin.",
		run:   caExpiry,
	},
}

// caSecretNames says in which Secret each server's CA lies.
var caSecretNames = []string{wellknown.WebhookCA, wellknown.InterceptorCA}

func caSecrets(ctx context.Context, s *state) error {
	var found problems
	missing := 0
	for _, name := range caSecretNames {
		elsewhere, err := issuedTo(ctx, s, name)
		if err != nil {
			return err
		}
		secret, err := s.Get(ctx, live.Secret, live.Tekgate, name)
		if err != nil {
			return err
		}
		if secret == nil || elsewhere != "" {
			missing++
			continue
		}
		if _, err := authority(secret, s.options.Now); err != nil {
			found.add("%s: %v", kube.Name(secret), err)
		}
	}
	if missing == len(caSecretNames) {
		return skip("there is no CA's Secret: the servers have not started yet, or get their certificates elsewhere")
	}
	return found.err()
}

// authority returns the certificate of a CA's Secret. The key is not looked at.
func authority(secret *unstructured.Unstructured, now time.Time) (*x509.Certificate, error) {
	text, err := base64.StdEncoding.DecodeString(live.Text(secret.Object, "data", "tls.crt"))
	if err != nil || len(text) == 0 {
		return nil, errors.New("it holds no tls.crt")
	}
	certificates, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("its tls.crt %w", err)
	}
	return certificates[0], validAt(certificates[0], now)
}

func validAt(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("its certificate expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf(
			"its certificate is valid from %s only: compare the clocks",
			c.NotBefore.UTC().Format(time.RFC3339),
		)
	}
	return nil
}

// parse reads at least one certificate from PEM.
func parse(text []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a certificate that cannot be read")
		}
		certificates = append(certificates, c)
	}
	if len(certificates) == 0 {
		return nil, errors.New("holds no certificate")
	}
	return certificates, nil
}

// bundleOf is a caBundle and who has it.
type bundleOf struct{ owner, secret, encoded string }

// bundles returns the caBundles by which Tekgate's servers are called.
func bundles(ctx context.Context, s *state) ([]bundleOf, error) {
	var all []bundleOf
	own, err := ownConfigurations(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, configuration := range own {
		for _, h := range hooks(configuration) {
			all = append(all, bundleOf{kube.Name(configuration) + ": webhook " + h.name, wellknown.WebhookCA, h.bundle})
		}
	}
	published, err := s.Get(ctx, live.ClusterInterceptor, "", "tekgate")
	if err != nil || published == nil {
		return all, err
	}
	bundle := live.Text(published.Object, "spec", "clientConfig", "caBundle")
	return append(all, bundleOf{kube.Name(published), wellknown.InterceptorCA, bundle}), nil
}

func caBundles(ctx context.Context, s *state) error {
	all, err := bundles(ctx, s)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("neither webhook configuration of Tekgate exists: run `tekgate install`")
	}
	var found problems
	for _, b := range all {
		if err := b.judge(ctx, s, &found); err != nil {
			return err
		}
	}
	return found.err()
}

// judge finds a bundle that does not vouch for what its server serves.
func (b bundleOf) judge(ctx context.Context, s *state, found *problems) error {
	certificates, err := decodeBundle(b.encoded)
	if err != nil {
		found.add("%s: its caBundle %v", b.owner, err)
		return nil
	}
	elsewhere, err := issuedTo(ctx, s, b.secret)
	if err != nil {
		return err
	}
	if elsewhere != "" {
		vouches, err := vouchesFor(ctx, s, certificates, elsewhere)
		if err == nil && !vouches {
			found.add(
				"%s: its caBundle does not vouch for the certificate in Secret %s/%s",
				b.owner,
				live.Tekgate,
				elsewhere,
			)
		}
		return err
	}
	secret, err := s.Get(ctx, live.Secret, live.Tekgate, b.secret)
	if err != nil || secret == nil {
		return err
	}
	if ca, err := authority(secret, s.options.Now); ca != nil && err == nil && !holds(certificates, ca) {
		found.add("%s: its caBundle does not hold the certificate of Secret %s/%s", b.owner, live.Tekgate, b.secret)
	}
	return nil
}

func decodeBundle(encoded string) ([]*x509.Certificate, error) {
	if encoded == "" {
		return nil, errors.New("is empty: the server has not written it yet")
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	return parse(text)
}

func holds(certificates []*x509.Certificate, ca *x509.Certificate) bool {
	for _, c := range certificates {
		if bytes.Equal(c.Raw, ca.Raw) {
			return true
		}
	}
	return false
}

const soon = 30 * 24 * time.Hour

func caExpiry(ctx context.Context, s *state) error {
	all, err := bundles(ctx, s)
	if err != nil {
		return err
	}
	var found problems
	for _, name := range caSecretNames {
		if err := issuedExpiry(ctx, s, name, &found); err != nil {
			return err
		}
	}
	for _, b := range all {
		if elsewhere, err := issuedTo(ctx, s, b.secret); err != nil || elsewhere != "" {
			if err != nil {
				return err
			}
			continue
		}
		certificates, err := decodeBundle(b.encoded)
		if err != nil {
			continue // that is ca-bundles' business
		}
		// While a CA is rotated the bundle holds the old one too: the newest
		// decides.
		newest := certificates[0]
		for _, c := range certificates {
			if c.NotAfter.After(newest.NotAfter) {
				newest = c
			}
		}
		if newest.NotAfter.Sub(s.options.Now) < soon {
			found.add("%s: its CA expires at %s", b.owner, newest.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return found.err()
}
