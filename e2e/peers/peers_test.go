package peers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/e2e/baseline"
)

// The policies of all peers give a TaskRun the same.
func TestPolicies(t *testing.T) {
	for name, text := range map[string]string{"gatekeeper": gatekeeperPolicies, "kyverno": kyvernoPolicies} {
		policies, err := read(name, strings.NewReader(text))
		if err != nil || len(policies) < 2 {
			t.Errorf("%s has %d policies, error %v", name, len(policies), err)
		}
		for _, part := range []string{baseline.ServiceAccount, baseline.Mirror, baseline.Variable, baseline.Value} {
			if !strings.Contains(text, part) {
				t.Errorf("the policies of %s lack %q", name, part)
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	identity, err := NewIdentity("peer.example.svc")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(identity.Certificate, identity.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(identity.CA)
	for _, name := range []string{"127.0.0.1", "localhost", "peer.example.svc"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Error(err)
		}
	}
	if _, err := NewIdentity(); err != nil {
		t.Error(err)
	}
}

func TestBuildUnknown(t *testing.T) {
	if path, err := Build(t.Context(), "opa", t.Output()); err == nil || path != "" {
		t.Errorf("got %q, error %v", path, err)
	}
}

// Waiting ends with the server, the error has the server's log, and Stop removes its
// directory.
func TestServerThatEnds(t *testing.T) {
	dir, err := directory(map[string][]byte{"file": []byte("text")})
	if err != nil {
		t.Fatal(err)
	}
	env, args := []string{"REASON=no such flag"}, []string{"-c", `test -f file && echo "$REASON" >&2; exit 3`}
	s, err := launch(t.Context(), "failing", "/bin/sh", dir, env, args)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err = s.await(t.Context(), "serves", func(context.Context) error { return errors.New("connection refused") })
	if err == nil || time.Since(began) > 30*time.Second {
		t.Fatalf("after %s got error %v", time.Since(began), err)
	}
	for _, part := range []string{"waiting until failing serves", "exit status 3", "no such flag"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	s.Stop()
	s.Stop()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory still exists: %v", err)
	}
}
