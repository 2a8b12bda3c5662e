package servers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Bundle returns the caBundle of a webhook configuration in the cluster, as PEM. It is an
// error if the bundles of its webhooks differ.
func Bundle(ctx context.Context, c client.Client, kind, name string) ([]byte, error) {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("admissionregistration.k8s.io/v1")
	u.SetKind(kind)
	if err := c.Get(ctx, client.ObjectKey{Name: name}, u); err != nil {
		return nil, err
	}
	var bundle []byte
	for _, hook := range Hooks(u) {
		encoded, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle")
		one, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("reading the caBundle of %s: %w", name, err)
		}
		if bundle != nil && !bytes.Equal(one, bundle) {
			return nil, fmt.Errorf("the webhooks of %s have different bundles", name)
		}
		bundle = one
	}
	return bundle, nil
}

// Handshake returns the certificate that is served at an address of this machine, if a CA
// in the bundle signed it.
func Handshake(ctx context.Context, address string, bundle []byte) (*x509.Certificate, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("no certificates in the bundle %q", bundle)
	}
	d := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil, fmt.Errorf("the connection to %s has no TLS", address)
	}
	return secured.ConnectionState().PeerCertificates[0], nil
}

// Signed reports whether a CA, as PEM, signed the leaf.
func Signed(leaf *x509.Certificate, ca []byte) bool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool})
	return err == nil
}
