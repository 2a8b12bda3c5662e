package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

const (
	caLife    = 10 * 365 * 24 * time.Hour
	leafLife  = 7 * 24 * time.Hour
	backDated = time.Hour // clocks differ, most of all where no NTP is reachable
)

// leaf is a parsed serving certificate and the time of its renewal.
type leaf struct {
	certificate *tls.Certificate
	signer      *x509.Certificate // the CA that vouches for it
	renewAt     time.Time         // where it is signed here
	roots       []byte            // where cert-manager issued it: the CAs that it came with
}

// isCurrent says whether l can be served on.
func (a *Authority) isCurrent(l *leaf) bool {
	return l != nil && l.signer == a.state.Load().signer.Leaf && a.now().Before(l.renewAt)
}

// GetCertificate returns the serving certificate, renewed once two thirds of its
// life have passed or another CA signs, or that of cert-manager. It is a tls.Config's
// callback; the greeting is not looked at.
func (a *Authority) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if a.options.Issued != "" {
		return a.issuedCertificate()
	}
	if l := a.current.Load(); a.isCurrent(l) {
		return l.certificate, nil
	}
	a.renewal.Lock()
	defer a.renewal.Unlock()
	old := a.current.Load()
	if a.isCurrent(old) {
		return old.certificate, nil // somebody else renewed it meanwhile
	}
	fresh, err := a.sign()
	if err != nil && old != nil && a.now().Before(old.certificate.Leaf.NotAfter) {
		return old.certificate, nil
	}
	if err != nil {
		return nil, err
	}
	a.current.Store(fresh)
	return fresh.certificate, nil
}

// now is free of the monotonic clock, which stands still while a machine is
// suspended: certificates expire by the wall's.
func (a *Authority) now() time.Time {
	return a.options.Now().Round(0)
}

func (a *Authority) sign() (*leaf, error) {
	signer := a.state.Load().signer
	now, ca := a.now(), signer.Leaf
	if now.After(ca.NotAfter) {
		return nil, fmt.Errorf(
			"signing a serving certificate: the CA in Secret %s/%s expired at %s; delete the Secret and restart to get a new CA",
			a.options.Namespace, a.options.Name, ca.NotAfter.UTC().Format(time.RFC3339))
	}
	template, key, err := template(now, "tekgate server")
	if err != nil {
		return nil, fmt.Errorf("signing a serving certificate: %w", err)
	}
	template.NotAfter = now.Add(leafLife)
	if template.NotAfter.After(ca.NotAfter) {
		template.NotAfter = ca.NotAfter
	}
	template.DNSNames, template.IPAddresses = a.options.permittedBy(ca)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), signer.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("signing a serving certificate: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("signing a serving certificate: %w", err)
	}
	return &leaf{
		certificate: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed},
		signer:      ca,
		renewAt:     now.Add(template.NotAfter.Sub(now) * 2 / 3),
	}, nil
}

// newCA returns a self-signed CA and its key, both as PEM. It can vouch for the names and
// addresses of this server alone, so that a stolen key passes for no other server, whoever
// trusts the CA, and for those of the CA before it: replicas that were started with
// different names would otherwise replace each other's CA for ever.
func (o Options) newCA(before *x509.Certificate) (certificate, key []byte, err error) {
	now := o.Now()
	id := make([]byte, 8)
	rand.Read(id) // never fails
	template, private, err := template(now, "tekgate CA "+hex.EncodeToString(id))
	if err != nil {
		return nil, nil, err
	}
	template.NotAfter = now.Add(caLife)
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	o.constrain(template, before)
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return encodeCertificate(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// constrain limits a CA to the names and addresses of this server and of the CA before it.
func (o Options) constrain(ca, before *x509.Certificate) {
	ca.PermittedDNSDomainsCritical = true
	if before == nil {
		before = &x509.Certificate{}
	}
	ca.PermittedDNSDomains = slices.Clone(before.PermittedDNSDomains)
	for _, name := range o.DNSNames {
		if !slices.Contains(ca.PermittedDNSDomains, name) {
			ca.PermittedDNSDomains = append(ca.PermittedDNSDomains, name)
		}
	}
	ca.PermittedIPRanges = slices.Clone(before.PermittedIPRanges)
	for _, ip := range o.IPs {
		if !slices.ContainsFunc(ca.PermittedIPRanges, func(r *net.IPNet) bool { return r.Contains(ip) }) {
			ca.PermittedIPRanges = append(ca.PermittedIPRanges, only(ip))
		}
	}
	// Without a permitted name of a kind, all names of the kind are permitted.
	if len(ca.PermittedDNSDomains) == 0 {
		ca.ExcludedDNSDomains = []string{""}
	}
	if len(ca.PermittedIPRanges) == 0 {
		ca.ExcludedIPRanges = []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		}
	}
}

// only returns the range of one address.
func only(ip net.IP) *net.IPNet {
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))}
}

// permittedBy returns the names and addresses of this server that a CA may vouch for: all,
// if it was made without constraints. A certificate with one name that is not permitted is
// worth nothing for the others either (RFC 5280, 6.1.3).
func (o Options) permittedBy(ca *x509.Certificate) (names []string, ips []net.IP) {
	free := len(ca.PermittedDNSDomains) == 0 && len(ca.ExcludedDNSDomains) == 0
	for _, name := range o.DNSNames {
		if free || slices.Contains(ca.PermittedDNSDomains, name) {
			names = append(names, name)
		}
	}
	free = len(ca.PermittedIPRanges) == 0 && len(ca.ExcludedIPRanges) == 0
	for _, ip := range o.IPs {
		if free || slices.ContainsFunc(ca.PermittedIPRanges, func(r *net.IPNet) bool { return r.Contains(ip) }) {
			ips = append(ips, ip)
		}
	}
	return names, ips
}

// fits reports whether a CA may vouch for all of this server's names and addresses, and
// whether for any.
func (o Options) fits(ca *x509.Certificate) (all, any bool) {
	names, ips := o.permittedBy(ca)
	return len(names) == len(o.DNSNames) && len(ips) == len(o.IPs), len(names)+len(ips) > 0
}

// template returns what all certificates have in common, and a new key.
func template(now time.Time, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("making a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"tekgate"}, CommonName: name},
		NotBefore:    now.Add(-backDated),
	}, key, nil
}
