package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// What else the Secret holds while a CA is replaced.
const (
	nextCertificate = "next.crt"     // the CA to come; clients trust it already, nothing is signed with it
	nextKey         = "next.key"     //
	previous        = "previous.crt" // CAs that were replaced; leaves signed with them may be served still
	publishedAt     = "tekgate.dev/next-ca-published"
	promotedAt      = "tekgate.dev/ca-replaced"
)

// overlap is the default of Options.Overlap.
const overlap = 5 * time.Minute

// Advance reads the Secret again and takes the replacement of its CA one step
// further, where one is due: published is the bundle that clients can read now.
//
// The CA is replaced once two thirds of its life have passed, or when the Secret has the
// annotation wellknown.RotateKey. Its value does not matter, and it is removed once the
// next CA is made. First the new one is made and joins the bundle; when the bundle has
// been published with it for five minutes it signs, and the old one stays in the bundle
// until every leaf that it signed has expired. The Secret holds where this stands, so any
// replica can take the next step; of several that do at once one succeeds.
//
// The same happens where the server has names or addresses that its CA may not vouch for;
// until the new one signs, the server is served by those that it may. A CA that may vouch
// for none is replaced at once: nothing that it signs is trusted.
func (a *Authority) Advance(ctx context.Context, published []byte) error {
	o := a.options
	secret := &corev1.Secret{}
	if err := o.Client.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Name}, secret); err != nil {
		return wrap("reading", o, err)
	}
	if err := a.adopt(secret); err != nil {
		return err
	}
	if o.Issued != "" {
		// After the Secret above: whoever wrote a CA in there had read it in here.
		a.look(ctx)
		if a.offered == nil {
			return a.Trouble()
		}
	}
	changed, err := a.step(secret, published)
	if err != nil {
		return err
	}
	if changed {
		err = o.Client.Update(ctx, secret)
	}
	if apierrors.IsConflict(err) { // somebody else took the step
		err = o.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	}
	if err != nil {
		return wrap("writing", o, err)
	}
	if err := a.adopt(secret); err != nil {
		return err
	}
	if len(a.CABundle()) == 0 {
		return fmt.Errorf("reading the CA's Secret %s/%s: it holds no certificate yet", o.Namespace, o.Name)
	}
	a.takeOffer()
	return nil
}

// adopt makes what a Secret says the state of this process.
func (a *Authority) adopt(secret *corev1.Secret) error {
	o := a.options
	next := &state{}
	if o.Issued == "" {
		signer, err := parseCA(secret, a.now())
		if err != nil {
			return fmt.Errorf("reading the CA in Secret %s/%s: %w; delete the Secret and restart to get a new CA",
				o.Namespace, o.Name, err)
		}
		if old := a.state.Load(); old != nil && bytes.Equal(old.signer.Certificate[0], signer.Certificate[0]) {
			signer = old.signer // the same pointer says that the leaf need not change
		}
		next.signer = signer
	}
	mine, _ := o.sources()
	for _, key := range []string{own.certificates, nextCertificate, issued.certificates, previous} {
		held := certificatesIn(secret.Data[key])
		if key == mine.certificates {
			next.roots = held
		}
		next.bundle = append(next.bundle, held...)
	}
	next.alone = len(next.roots) > 0 && len(next.roots) == len(next.bundle)
	if at, err := time.Parse(time.RFC3339, secret.Annotations[mine.publishedAt]); err == nil {
		next.since = at
	}
	a.state.Store(next)
	return nil
}

// certificatesIn returns only what is a certificate in PEM, so that nothing else
// can get into a bundle, which would stop EventListeners.
func certificatesIn(text []byte) []byte {
	var out []byte
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			return out
		}
		if block.Type == "CERTIFICATE" {
			out = append(out, encodeCertificate(block.Bytes)...)
		}
	}
}

// step changes the Secret by one step, if one is due.
func (a *Authority) step(secret *corev1.Secret, published []byte) (changed bool, err error) {
	now := a.now()
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	mine, other := a.options.sources()
	marked, forgotten := mine.mark(secret, published, now), other.forget(secret, now)
	if a.options.Issued != "" {
		changed = a.follow(secret, now)
	} else {
		changed, err = a.replace(secret, published, now)
	}
	return changed || marked || forgotten, err
}

// replace takes the replacement of the own CA one step further.
func (a *Authority) replace(secret *corev1.Secret, published []byte, now time.Time) (changed bool, err error) {
	next := secret.Data[nextCertificate]
	_, any := a.options.fits(a.state.Load().signer.Leaf)
	switch {
	case !any:
		return true, a.options.replaceNow(secret, a.state.Load().signer.Leaf)
	case len(next) == 0:
		return a.prepare(secret, now)
	case !bytes.Contains(published, certificatesIn(next)):
		return false, nil // somebody has to publish it first
	case secret.Annotations[publishedAt] == "":
		secret.Annotations[publishedAt] = now.UTC().Format(time.RFC3339)
		return true, nil
	case elapsed(secret, publishedAt, now) < a.options.Overlap:
		return false, nil
	}
	secret.Data[previous] = append(bytes.Clone(secret.Data[corev1.TLSCertKey]), secret.Data[previous]...)
	secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey] = next, secret.Data[nextKey]
	secret.Annotations[own.publishedAt] = secret.Annotations[publishedAt]
	delete(secret.Data, nextCertificate)
	delete(secret.Data, nextKey)
	delete(secret.Annotations, publishedAt)
	secret.Annotations[promotedAt] = now.UTC().Format(time.RFC3339)
	return true, nil
}

// replaceNow gives a Secret another CA without an overlap, and keeps the one before it in
// the bundle.
func (o Options) replaceNow(secret *corev1.Secret, before *x509.Certificate) error {
	certificate, key, err := o.newCA(before)
	if err != nil {
		return fmt.Errorf("making a CA: %w", err)
	}
	secret.Data[previous] = append(bytes.Clone(secret.Data[corev1.TLSCertKey]), secret.Data[previous]...)
	secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey] = certificate, key
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[promotedAt] = o.Now().UTC().Format(time.RFC3339)
	delete(secret.Annotations, own.publishedAt)
	return nil
}

// prepare makes the next CA where one is due, and forgets replaced ones whose
// leaves have all expired.
func (a *Authority) prepare(secret *corev1.Secret, now time.Time) (changed bool, err error) {
	changed = dropPrevious(secret, now)
	ca := a.state.Load().signer.Leaf
	_, asked := secret.Annotations[wellknown.RotateKey]
	due := now.After(ca.NotAfter.Add(-ca.NotAfter.Sub(ca.NotBefore) / 3))
	all, _ := a.options.fits(ca)
	if !asked && !due && all {
		return changed, nil
	}
	certificate, key, err := a.options.newCA(ca)
	if err != nil {
		return false, fmt.Errorf("making the next CA: %w", err)
	}
	secret.Data[nextCertificate], secret.Data[nextKey] = certificate, key
	delete(secret.Annotations, wellknown.RotateKey)
	delete(secret.Annotations, publishedAt)
	return true, nil
}

// dropPrevious forgets CAs whose leaves have all expired, or been replaced long ago.
func dropPrevious(secret *corev1.Secret, now time.Time) (changed bool) {
	if len(secret.Data[previous]) == 0 || elapsed(secret, promotedAt, now) <= leafLife {
		return false
	}
	delete(secret.Data, previous)
	return true
}

// elapsed is the time since the moment in an annotation; a moment that cannot be
// read is now, which waits for longer rather than shorter.
func elapsed(secret *corev1.Secret, annotation string, now time.Time) time.Duration {
	at, err := time.Parse(time.RFC3339, secret.Annotations[annotation])
	if err != nil {
		return 0
	}
	return now.Sub(at)
}

// Expiry returns when the serving certificate and its CA expire; zero while there is
// none.
func (a *Authority) Expiry() (serving, ca time.Time) {
	if a.options.Issued == "" {
		ca = a.state.Load().signer.Leaf.NotAfter
	}
	if l := a.current.Load(); l != nil {
		return l.certificate.Leaf.NotAfter, l.signer.NotAfter
	}
	return serving, ca
}
