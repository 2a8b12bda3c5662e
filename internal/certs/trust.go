package certs

import (
	"crypto/x509"
	"errors"
)

// TrustedBy fails unless a client that trusts the bundle, as PEM, and nothing else
// trusts the certificate that is served now.
func (a *Authority) TrustedBy(bundle []byte) error {
	if len(bundle) == 0 {
		return errors.New("its caBundle is empty")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(bundle) {
		return errors.New("its caBundle holds no certificate")
	}
	certificate, err := a.GetCertificate(nil)
	if err != nil {
		return err
	}
	if _, err := vouched(certificate, bundle, a.now()); err != nil {
		return errors.New("its caBundle does not vouch for the certificate that is served")
	}
	return nil
}
