// Package clitest runs verbs in tests, against real API servers and registries.
package clitest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

// Program is the command line with some of its verbs.
type Program []func() *cobra.Command

// Run runs one command line and returns what it printed.
func (p Program) Run(t testing.TB, in string, args ...string) (out, errOut string, err error) {
	t.Helper()
	verbs := make([]*cobra.Command, 0, len(p))
	for _, verb := range p {
		verbs = append(verbs, verb())
	}
	return Run(t, cli.Root(verbs...), in, args...)
}

// Run runs one command line of a root command.
func Run(t testing.TB, root *cobra.Command, in string, args ...string) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = cli.Run(t.Context(), root, args, cli.Streams{In: strings.NewReader(in), Out: &o, ErrOut: &e})
	return o.String(), e.String(), err
}

// Must runs one command line, which must succeed.
func (p Program) Must(t testing.TB, args ...string) (out, errOut string) {
	t.Helper()
	out, errOut, err := p.Run(t, "", args...)
	if err != nil {
		t.Fatalf("tekgate %s: %v\n%s", strings.Join(args, " "), err, errOut)
	}
	return out, errOut
}

// InOrder checks that the parts follow one another in text.
func InOrder(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		i := strings.Index(text, part)
		if i < 0 {
			t.Fatalf("%q does not follow in\n%s", part, text)
		}
		text = text[i:]
	}
}

// File writes a file to a new folder, and returns its path.
func File(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// JSON encodes a value.
func JSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Impersonating writes a copy of a kubeconfig that acts as another user.
func Impersonating(t testing.TB, kubeconfig, user string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range config.AuthInfos {
		info.Impersonate = user
	}
	file := filepath.Join(t.TempDir(), user)
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// AuthorityPEM returns the certificate of a new authority.
func AuthorityPEM(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
