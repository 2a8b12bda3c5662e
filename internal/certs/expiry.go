package certs

import (
	"crypto/x509"
	"fmt"
	"time"
)

// Reminder limits the warnings about a certificate that expires: once a day in its last
// thirty days, once an hour in its last seven. A CA that is replaced in time, which begins
// after two thirds of its life, gets none.
type Reminder struct{ told time.Time }

const (
	warnAt  = 30 * 24 * time.Hour
	alarmAt = 7 * 24 * time.Hour
)

// Due reports whether a warning is due now, and notes that it was given.
func (r *Reminder) Due(expiry, now time.Time) bool {
	return r.due(expiry, now, warnAt, alarmAt)
}

func (r *Reminder) due(expiry, now time.Time, warn, alarm time.Duration) bool {
	left, pause := expiry.Sub(now), 24*time.Hour
	if left <= alarm {
		pause = time.Hour
	}
	if left > warn || now.Sub(r.told) < pause {
		return false
	}
	r.told = now
	return true
}

// overdue is Due for what cert-manager renews, which may live for any time, and is
// renewed when a third of that is left: it is told of where a sixth is.
func (r *Reminder) overdue(c *x509.Certificate, now time.Time) bool {
	life := c.NotAfter.Sub(c.NotBefore)
	return r.due(c.NotAfter, now, min(warnAt, life/6), min(alarmAt, life/24))
}

// Warning is what to tell of a certificate that expires, and the Secret that it is in.
type Warning struct{ Secret, Text string }

// Expiring returns a warning where it is time for one. The effect says who cannot call
// the server after that, and the cause, which may be nil, why nothing was replaced
// just now.
func (a *Authority) Expiring(r *Reminder, effect string, cause error) (w Warning, due bool) {
	o := a.options
	if o.Issued == "" {
		ca := a.state.Load().signer.Leaf
		w = Warning{o.Name, expires("the CA", o.Namespace, o.Name, ca, effect) + "; it has not been replaced"}
		return w.because(cause), r.Due(ca.NotAfter, a.now())
	}
	l := a.current.Load()
	if l == nil {
		return w, false
	}
	what, c := "the certificate", l.certificate.Leaf
	if l.signer.NotAfter.Before(c.NotAfter) {
		what, c = "the CA of the certificate", l.signer
	}
	w = Warning{o.Issued, expires(what, o.Namespace, o.Issued, c, effect) +
		fmt.Sprintf("; cert-manager has not renewed it: `kubectl -n %s describe certificate %s` says why", o.Namespace,
			o.Issued)}
	return w.because(cause), r.overdue(c, a.now())
}

func expires(what, namespace, secret string, c *x509.Certificate, effect string) string {
	return fmt.Sprintf("%s in Secret %s/%s expires at %s, and then %s", what, namespace, secret,
		c.NotAfter.UTC().Format(time.RFC3339), effect)
}

func (w Warning) because(cause error) Warning {
	if cause != nil {
		w.Text += ": " + cause.Error()
	}
	return w
}
