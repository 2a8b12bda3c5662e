package cluster

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// The files that a node's controllers read, in the folder of the API server.
const (
	servingCert = "apiserver.crt"
	servingKey  = "apiserver.key"
	// accountKey and accountCert sign and verify the tokens of ServiceAccounts.
	accountKey  = "sa-signer.key"
	accountCert = "sa-signer.crt"
	servingCA   = "serving-ca.crt"
)

// ServiceRange is where the addresses of Services are, as envtest has it;
// ServiceAddress is that of the Service "kubernetes", the first of them.
const (
	ServiceRange   = "10.0.0.0/24"
	ServiceAddress = "10.0.0.1"
)

// StartForNode starts a control plane with the programs of a folder for Pods to
// use: the API server listens at the given address, publishes it, and gives every
// Pod a ServiceAccount, of which a control plane alone knows nothing.
func StartForNode(binaries, address string) (*Cluster, error) {
	return start(binaries, func(server *envtest.APIServer, dir string) error {
		server.Address = address
		server.Port = "6443"
		server.Configure().
			Set("advertise-address", address).
			Set("endpoint-reconciler-type", "lease").
			Set("kubelet-preferred-address-types", "InternalIP").
			Disable("disable-admission-plugins")
		ca, err := keys(dir, address)
		server.CA = ca
		return err
	})
}

// keys writes those that envtest would make in a form that does for programs on
// this machine alone: its certificate lacks the address of the Service, under which
// Pods know the API server. It returns the CA.
func keys(dir, address string) ([]byte, error) {
	text, key, err := cert.GenerateSelfSignedCertKey(address,
		[]net.IP{net.ParseIP(ServiceAddress), net.ParseIP("127.0.0.1")},
		[]string{"kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost"})
	if err != nil {
		return nil, fmt.Errorf("making the API server's certificate: %w", err)
	}
	_, rest := pem.Decode(text) // the server's own, which the CA's follows
	ca := bytes.TrimSpace(rest)
	files := map[string][]byte{servingCert: text, servingKey: key, servingCA: ca, accountCert: text, accountKey: key}
	var errs []error
	for name, content := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return ca, errors.Join(errs...)
}

// AccountKeyFile is the key that signs the tokens of ServiceAccounts, and CAFile the
// authority of the API server's certificate. Only a cluster of StartForNode has them.
func (c *Cluster) AccountKeyFile() string { return filepath.Join(c.dir, accountKey) }

// CAFile is the authority of the API server's certificate; see AccountKeyFile.
func (c *Cluster) CAFile() string { return filepath.Join(c.dir, servingCA) }
