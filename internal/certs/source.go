package certs

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// source is one of the two that serving certificates come from, as the Secret has it.
type source struct {
	certificates string // the key of its CAs
	publishedAt  string // the annotation with the time since which clients can read them
	usedAt       string // the annotation with a time at which a replica needed them
}

var (
	own    = source{corev1.TLSCertKey, "tekgate.dev/ca-published", "tekgate.dev/ca-used"}
	issued = source{"issued.crt", "tekgate.dev/issued-ca-published", "tekgate.dev/issued-ca-used"}
)

const (
	// usedEvery is how often a replica notes that it needs its source's CAs.
	usedEvery = 24 * time.Hour
	// unused is for how long nobody has noted that before they are forgotten: until
	// all that the own CA signed has expired.
	unused = leafLife + usedEvery
	// settling is how long a replica is not ready whose CA has joined others in the
	// bundle, at most: twice what EventListeners take to read it.
	settling = 2 * time.Minute
)

// sources returns the source of this server's certificate, and the other one, which
// replicas of the roll-out before, or of the next, may use.
func (o Options) sources() (mine, other source) {
	if o.Issued != "" {
		return issued, own
	}
	return own, issued
}

// mark notes that clients can read the CAs, and that they are needed.
func (s source) mark(secret *corev1.Secret, published []byte, now time.Time) (changed bool) {
	cas := certificatesIn(secret.Data[s.certificates])
	if len(cas) == 0 {
		return false
	}
	if secret.Annotations[s.publishedAt] == "" && bytes.Contains(published, cas) {
		secret.Annotations[s.publishedAt] = now.UTC().Format(time.RFC3339)
		changed = true
	}
	if secret.Annotations[s.usedAt] == "" || elapsed(secret, s.usedAt, now) > usedEvery {
		secret.Annotations[s.usedAt] = now.UTC().Format(time.RFC3339)
		changed = true
	}
	return changed
}

// forget takes away the CAs, and the key of the own one, that nobody needs any more.
func (s source) forget(secret *corev1.Secret, now time.Time) (changed bool) {
	if len(secret.Data[s.certificates]) == 0 {
		return false
	}
	if _, err := time.Parse(time.RFC3339, secret.Annotations[s.usedAt]); err != nil {
		secret.Annotations[s.usedAt] = now.UTC().Format(time.RFC3339)
		return true
	}
	if elapsed(secret, s.usedAt, now) <= unused {
		return false
	}
	secret.Data[s.certificates] = []byte{} // the Secret's type demands that of the own
	if s == own {
		secret.Data[corev1.TLSPrivateKeyKey] = []byte{}
		delete(secret.Data, nextCertificate)
		delete(secret.Data, nextKey)
		delete(secret.Annotations, publishedAt)
	}
	delete(secret.Annotations, s.publishedAt)
	delete(secret.Annotations, s.usedAt)
	return true
}

// Settled fails while clients may not trust what this replica serves, because they
// have not had the time to read the bundle with its CA. That is so after the source
// of certificates was changed, and where a replica starts just when cert-manager has
// another CA. A first installation has no clients, and waits for nothing but
// a certificate. Once it succeeds it does for good: from then on no certificate is
// served before its CA is known.
func (a *Authority) Settled() error {
	if a.settled.Load() {
		return nil
	}
	if a.options.Issued != "" && a.current.Load() == nil {
		return a.Trouble()
	}
	s := a.state.Load()
	wait := min(a.options.Overlap, settling)
	switch {
	case s.alone:
	case s.since.IsZero():
		return errors.New("its CA is not published yet beside the one before")
	case a.now().Sub(s.since) < wait:
		return fmt.Errorf("its CA is published since %s, and clients have until %s to read it",
			s.since.UTC().Format(time.RFC3339), s.since.Add(wait).UTC().Format(time.RFC3339))
	}
	a.settled.Store(true)
	return nil
}

// Settle ends the wait of Settled, where there is nobody who could read a bundle.
func (a *Authority) Settle() {
	if a.options.Issued == "" || a.current.Load() != nil {
		a.settled.Store(true)
	}
}
