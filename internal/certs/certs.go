// Package certs keeps a server's certificate, signed by a CA that lives in a
// Secret.
//
// The CA is shared and the leaf is not. Every replica reads the same CA and so
// writes the same bytes as caBundle: replicas that each made a CA of their own
// would overwrite one another's bundle without end, and clients would fail
// against all servers but one. The leaf, and its key, are made in memory by each
// replica: nothing has to be mounted, watched or parsed again per handshake, and
// renewing it needs nobody's consent, since clients trust the CA alone.
//
// Keys are P-256, because a handshake with RSA costs the server twenty times
// more. NotBefore lies an hour back, for clocks that differ; each CA has a
// subject of its own, for clients that hold several would otherwise pick the
// wrong one by name and report a bad signature. A CA is constrained to the names and
// addresses of its server; one that was made for fewer of them is replaced.
//
// The CA lasts ten years. A Secret that cannot be used is an error that says so,
// since overwriting it would cut off every client that still trusts the old one.
// It is replaced only in steps that keep old and new beside each other in the
// bundle until all clients have read it (Advance), by whoever sees to it that the
// bundle is published.
//
// Where cert-manager issues the certificate (Options.Issued), nothing is signed
// here. Its Secret is read, by name and once a minute, and not mounted: the right to
// one Secret is no more than a mount gives, all replicas see a new certificate in the
// same minute rather than when their kubelets do, and a server that waits for its
// first one runs and says so. cert-manager knows no overlap: it replaces leaf and CA
// in one write, and its CA injector swaps a caBundle at once, between which clients
// trust what is not served; nor does it know ClusterInterceptors. So the bundle is
// made and published here for either source, and a certificate of a CA that is new is
// served once the bundle with it has been published for as long as ever.
//
// The Secret of the own CA then holds the CAs of the issued certificates, too, and
// every replica, whatever its source, publishes all that it holds. That is how one
// source takes the other's place without a refused request: during the roll-out old
// and new replicas agree on a bundle that vouches for both, and a new one is not
// ready before clients have read it (Settled).
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Options says whose certificate to keep and where its CA lives.
type Options struct {
	Client    client.Client // must not be cached; needs get and create on the Secret
	Namespace string        // where the CA's Secret lives
	Name      string        // the Secret's name, such as tekgate-webhook-ca
	DNSNames  []string      // names that clients call the server by
	IPs       []net.IP      // addresses that clients call the server by
	// Issued is the Secret in which cert-manager keeps the serving certificate, and
	// the name of the Certificate that asks for it; empty where the own CA signs.
	Issued string
	Now    func() time.Time
	// Overlap is how long a bundle with a new CA has to be published before the CA
	// signs; five minutes if zero. EventListeners read it once a minute.
	Overlap time.Duration
}

// Authority keeps the serving certificate of this process and the bundle that
// vouches for it. It is safe for use by several goroutines.
type Authority struct {
	options Options
	state   atomic.Pointer[state]

	current atomic.Pointer[leaf]
	renewal sync.Mutex // held while a leaf is made, so that a burst makes one

	offered *leaf                 // what cert-manager issued last; Advance's alone
	trouble atomic.Pointer[error] // why that could not be read
	settled atomic.Bool
}

// state is what the Secret said when it was last read.
type state struct {
	signer tls.Certificate // the own CA; its Leaf is set. Empty where cert-manager issues
	bundle []byte
	// roots are the CAs of this server's source, alone says that the bundle has no
	// others, and since is when clients could read them, or zero.
	roots []byte
	alone bool
	since time.Time
}

// Load reads the CA from its Secret, or makes both where there is none. Replicas
// may call it at the same moment: one of them creates the Secret and the others
// read it. It fails if the Secret is there and cannot be used, and then leaves it
// as it is. A certificate that cert-manager has not issued yet is no failure: see
// Settled.
func Load(ctx context.Context, o Options) (*Authority, error) {
	if len(o.DNSNames)+len(o.IPs) == 0 {
		return nil, errors.New("making a serving certificate: no DNS name and no IP address was given")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Overlap == 0 {
		o.Overlap = overlap
	}
	secret, err := readOrCreate(ctx, o)
	if err == nil && o.Issued == "" {
		secret, err = complete(ctx, o, secret)
	}
	if err != nil {
		return nil, err
	}
	a := &Authority{options: o}
	if err := a.adopt(secret); err != nil {
		return nil, err
	}
	if o.Issued != "" {
		a.look(ctx)
		return a, nil
	}
	_, err = a.GetCertificate(nil)
	return a, err
}

// complete gives a Secret a CA that has none, because cert-manager issued until now, or
// one that may vouch for none of the server's names.
func complete(ctx context.Context, o Options, secret *corev1.Secret) (*corev1.Secret, error) {
	for {
		changed, err := o.ensureCA(secret)
		if err != nil || !changed {
			return secret, err
		}
		if err = o.Client.Update(ctx, secret); !apierrors.IsConflict(err) {
			return secret, wrap("writing", o, err)
		}
		// Another replica was faster: its CA is the one.
		if err := o.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
			return nil, wrap("reading", o, err)
		}
	}
}

// ensureCA changes a Secret that holds no CA for this server. One that cannot be read is
// left as it is, for adopt to name what is wrong with it.
func (o Options) ensureCA(secret *corev1.Secret) (changed bool, err error) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	if len(secret.Data[corev1.TLSCertKey]) > 0 || len(secret.Data[corev1.TLSPrivateKeyKey]) > 0 {
		signer, err := parseCA(secret, o.Now())
		if err != nil {
			return false, nil //nolint:nilerr // see above
		}
		if _, any := o.fits(signer.Leaf); any {
			return false, nil
		}
		return true, o.replaceNow(secret, signer.Leaf)
	}
	certificate, key, err := o.newCA(nil)
	if err != nil {
		return false, fmt.Errorf("making a CA: %w", err)
	}
	secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey] = certificate, key
	return true, nil
}

func readOrCreate(ctx context.Context, o Options) (*corev1.Secret, error) {
	key := client.ObjectKey{Namespace: o.Namespace, Name: o.Name}
	secret := &corev1.Secret{}
	err := o.Client.Get(ctx, key, secret)
	if !apierrors.IsNotFound(err) {
		return secret, wrap("reading", o, err)
	}
	made, err := newSecret(o)
	if err != nil {
		return nil, err
	}
	err = o.Client.Create(ctx, made)
	if !apierrors.IsAlreadyExists(err) {
		return made, wrap("creating", o, err)
	}
	// Another replica was faster: its CA is the one.
	return secret, wrap("reading", o, o.Client.Get(ctx, key, secret))
}

func wrap(doing string, o Options, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the CA's Secret %s/%s: %w", doing, o.Namespace, o.Name, err)
}

func newSecret(o Options) (*corev1.Secret, error) {
	certificate, key := []byte{}, []byte{} // which the type demands to be there
	if o.Issued == "" {
		var err error
		if certificate, key, err = o.newCA(nil); err != nil {
			return nil, fmt.Errorf("making a CA: %w", err)
		}
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.Namespace,
			Name:      o.Name,
			Labels: map[string]string{
				"app.kubernetes.io/name":       "tekgate",
				"app.kubernetes.io/part-of":    "tekgate",
				"app.kubernetes.io/managed-by": "tekgate",
			},
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
	}, nil
}

// parseCA returns the CA of a Secret, or an error that says what is wrong with
// it. No error holds any of the key.
func parseCA(s *corev1.Secret, now time.Time) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return pair, fmt.Errorf("%s and %s are not a certificate and its key", corev1.TLSCertKey,
			corev1.TLSPrivateKeyKey)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return pair, fmt.Errorf("%s is not a certificate", corev1.TLSCertKey)
		}
	}
	ca := pair.Leaf
	switch {
	case !ca.IsCA || ca.KeyUsage&x509.KeyUsageCertSign == 0:
		return pair, errors.New("its certificate may not sign others")
	case now.After(ca.NotAfter):
		return pair, fmt.Errorf("its certificate expired at %s", ca.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(ca.NotBefore):
		return pair, fmt.Errorf("its certificate is valid from %s only, so check the clock first",
			ca.NotBefore.UTC().Format(time.RFC3339))
	}
	return pair, nil
}

// CABundle returns, as PEM, the CA's certificate and those that come before and
// after it while it is replaced: the same bytes in every replica.
func (a *Authority) CABundle() []byte {
	return a.state.Load().bundle
}

// TLS makes c serve the certificate, over HTTP/1.1 alone: neither an API server
// nor an EventListener speaks HTTP/2 to a Service, and without it none of its
// denials of service concern us.
func (a *Authority) TLS(c *tls.Config) {
	c.MinVersion = tls.VersionTLS13
	c.NextProtos = []string{"http/1.1"}
	c.GetCertificate = a.GetCertificate
}

// ServiceNames returns the names by which clients in a cluster call a Service.
func ServiceNames(service, namespace string) []string {
	return []string{
		service,
		service + "." + namespace,
		service + "." + namespace + ".svc",
		service + "." + namespace + ".svc.cluster.local",
	}
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
