package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tekgate/tekgate/cmd/internal/config"
)

// callers tells API servers from anyone else who reaches this server: by their addresses, or
// by the client certificates that they present. Where the configuration knows neither, every
// caller is unverified.
type callers struct {
	ranges []netip.Prefix
	roots  *x509.CertPool
	names  []string
	last   atomic.Pointer[x509.Certificate] // the last one that was verified
}

// newCallers returns the callers of a configuration that is valid.
func newCallers(c config.Install) *callers {
	known := &callers{names: c.APIServerClient.Names}
	for _, cidr := range c.APIServerCIDRs {
		if prefix, err := netip.ParsePrefix(cidr); err == nil {
			known.ranges = append(known.ranges, prefix)
		}
	}
	if c.APIServerClient.CA != "" {
		known.roots = x509.NewCertPool()
		known.roots.AppendCertsFromPEM([]byte(c.APIServerClient.CA))
	}
	return known
}

// verified reports whether a request comes from an API server.
func (c *callers) verified(r *http.Request) bool {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		address := from.Addr().Unmap().WithZone("")
		if slices.ContainsFunc(c.ranges, func(p netip.Prefix) bool { return p.Contains(address) }) {
			return true
		}
	}
	return c.roots != nil && r.TLS != nil && c.signed(r.TLS.PeerCertificates, time.Now())
}

// signed reports whether certificates are those of an API server. The handshake has proved
// that the caller has the key.
func (c *callers) signed(presented []*x509.Certificate, now time.Time) bool {
	if len(presented) == 0 || !slices.Contains(c.names, presented[0].Subject.CommonName) {
		return false
	}
	leaf := presented[0]
	if last := c.last.Load(); last != nil && bytes.Equal(last.Raw, leaf.Raw) && now.Before(leaf.NotAfter) {
		return true
	}
	between := x509.NewCertPool()
	for _, certificate := range presented[1:] {
		between.AddCert(certificate)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		c.last.Store(leaf)
	}
	return err == nil
}

// verifiedKey marks the contexts of requests that come from an API server.
type verifiedKey struct{}

func isVerified(ctx context.Context) bool { return ctx.Value(verifiedKey{}) != nil }

// identify notes in the context of a request that it comes from an API server.
func (c *configuration) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if c.current.Load().callers.verified(r) {
			r = r.WithContext(context.WithValue(r.Context(), verifiedKey{}, true))
		}
		next.ServeHTTP(rw, r)
	})
}
