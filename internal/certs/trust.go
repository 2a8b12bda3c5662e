package certs

import (
	"crypto/x509"
	"errors"
	"time"
)

// TrustedBy fails unless a client that trusts the bundle, as PEM, and nothing else
// trusts the certificate that is served now.
func (a *Authority) TrustedBy(bundle []byte) error {
	if len(bundle) == 0 {
		return errors.New("its caBundle is empty")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return errors.New("its caBundle holds no certificate")
	}
	certificate, err := a.GetCertificate(nil)
	if err != nil {
		return err
	}
	if _, err := certificate.Leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: a.now()}); err != nil {
		return errors.New("its caBundle does not vouch for the certificate that is served")
	}
	return nil
}

// Reminder says when to tell again that a CA expires: once a day in its last thirty
// days, once an hour in its last seven. It does not come to that where the CA is
// replaced as it should be, which begins after two thirds of its life.
type Reminder struct{ told time.Time }

const (
	warnAt  = 30 * 24 * time.Hour
	alarmAt = 7 * 24 * time.Hour
)

// Due says whether to tell now, and takes it as told.
func (r *Reminder) Due(expiry, now time.Time) bool {
	left, pause := expiry.Sub(now), 24*time.Hour
	if left <= alarmAt {
		pause = time.Hour
	}
	if left > warnAt || now.Sub(r.told) < pause {
		return false
	}
	r.told = now
	return true
}
