package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
)

// The registries' names, which the node's DNS knows.
const (
	mirrorHost   = "mirror.example.com"
	RegistryHost = "registry.example.com"
)

// The account of the private registry. It is known to everybody and opens nothing
// outside of the node.
const (
	RegistryUser     = "builder"
	RegistryPassword = "only-inside-the-node"
	// registryHash is bcrypt's of the password.
	registryHash = "$2a$05$WEyD7HDjb0fOeG.p8LYWV.G.gQ7KhIHAi6/EbFD1KsPklRDnkoVQq"
)

const registryConfig = `version: 0.1
log: {accesslog: {disabled: false}, level: warn, formatter: text}
storage: {filesystem: {rootdirectory: %[1]q}}
http:
  addr: %[2]s:443
  secret: none
  tls: {certificate: %[3]q, key: %[4]q}
`

const registryAuth = `auth:
  htpasswd: {realm: registry, path: %q}
`

// registries starts both: the mirror, where everybody may pull, and the private one,
// which wants the password for everything.
func (n *Node) registries(ctx context.Context) error {
	certificate, key, err := n.certificate()
	if err != nil {
		return err
	}
	passwords, err := n.file("htpasswd", RegistryUser+":"+registryHash+"\n")
	if err != nil {
		return err
	}
	for _, r := range []struct{ host, address, auth string }{
		{mirrorHost, mirrorAddress, ""},
		{RegistryHost, registryAddress, fmt.Sprintf(registryAuth, passwords)},
	} {
		storage := filepath.Join(n.parts.Dir, "registries", r.host)
		config, err := n.file(r.host+".yaml", fmt.Sprintf(registryConfig, storage, r.address, certificate, key)+r.auth)
		if err != nil {
			return err
		}
		p, err := n.run(filepath.Join(n.parts.Registry, "registry"), "serve", config)
		if err != nil {
			return err
		}
		answers := func(ctx context.Context) error { return n.answers(ctx, r.host) }
		if err := until(ctx, 30*time.Second, p, answers); err != nil {
			return err
		}
	}
	return nil
}

// certificate makes one for both registries and the forge; its CA goes to n.CA.
func (n *Node) certificate() (certificate, key string, err error) {
	text, secret, err := cert.GenerateSelfSignedCertKey(mirrorHost, nil, []string{RegistryHost, ForgeHost})
	if err != nil {
		return "", "", fmt.Errorf("making the registries' certificate: %w", err)
	}
	_, ca := pem.Decode(text)
	if n.CA, err = n.file("registries-ca.crt", string(ca)); err != nil {
		return "", "", err
	}
	if certificate, err = n.file("registries.crt", string(text)); err != nil {
		return "", "", err
	}
	key, err = n.file("registries.key", string(secret))
	n.certificateFile, n.keyFile = certificate, key
	return certificate, key, err
}

// transport trusts the registries.
func (n *Node) transport() (*http.Transport, error) {
	ca, err := os.ReadFile(n.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

func (n *Node) answers(ctx context.Context, host string) error {
	transport, err := n.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	want := http.StatusOK
	if host == RegistryHost {
		want = http.StatusUnauthorized
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %s", host, resp.Status)
	}
	return nil
}
