package signature_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/imagetest"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/signature"
)

const (
	ours  = "testdata/cosign.pub"
	other = "testdata/other.pub"
	// signed is the digest of the image in the archive.
	signed = "sha256:2a5ac7766bdf7c83f80ba419afa43d403e0824a6db4c86a9412d8d82c9160b97"
)

// byCosign returns what cosign v3.1.3 stored beside an image, read from a mirror that was filled from
// an archive.
func byCosign(t *testing.T, name string) []registry.Statement {
	t.Helper()
	server := httptest.NewServer(imagetest.Registry())
	t.Cleanup(server.Close)
	mirror := strings.TrimPrefix(server.URL, "http://")
	rules, err := image.Mirror{Registry: mirror + "/mirrored"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := registry.Load(t.Context(),
		registry.LoadRequest{File: "testdata/cosign-v3.1.3.tar", Rules: rules}, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range loaded {
		if outcome.Outcome == registry.Failed {
			t.Fatalf("%s: %v", outcome.Image.From, outcome.Err)
		}
	}
	to, err := image.Parse(mirror + "/mirrored/" + name + ":v1")
	if err != nil {
		t.Fatal(err)
	}
	probed := registry.Probe(t.Context(),
		registry.ProbeRequest{Images: [][]image.Rewritten{{{From: to, To: to}}}}, registry.Options{})
	if probed[0].Digest != signed {
		t.Fatalf("%s has digest %s: %v", to, probed[0].Digest, probed[0].Err)
	}
	found, errs := registry.Statements(t.Context(), probed, registry.Options{})
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	return found[0]
}

func signer(t *testing.T, text, trustedRoot string) []signature.Signer {
	t.Helper()
	s, err := signature.Parse(text, trustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	return []signature.Signer{s}
}

// only returns the statements of a media type that begins so.
func only(all []registry.Statement, mediaType string) []registry.Statement {
	return slices.DeleteFunc(slices.Clone(all), func(s registry.Statement) bool {
		return !strings.HasPrefix(s.MediaType, mediaType)
	})
}

var forms = map[string]string{
	"bundle":      "application/vnd.dev.sigstore.bundle",
	"signature":   registry.SimpleSigning,
	"attestation": registry.Envelope,
}

// TestKey holds that each form in which cosign stores a signature proves it under a mirror's name,
// for this digest and this key alone.
func TestKey(t *testing.T) {
	all := byCosign(t, "app")
	foreign := "sha256:" + strings.Repeat("0", 64)
	for name, mediaType := range forms {
		t.Run(name, func(t *testing.T) {
			one := only(all, mediaType)
			if len(one) != 1 {
				t.Fatalf("there are %d of them", len(one))
			}
			if by, err := signature.Check(signer(t, ours, ""), signed, one); err != nil || by != ours {
				t.Errorf("signed by %q: %v", by, err)
			}
			if _, err := signature.Check(signer(t, other, ""), signed, one); err == nil {
				t.Error("another key is accepted")
			}
			if _, err := signature.Check(signer(t, ours, ""), foreign, one); err == nil {
				t.Error("another image is accepted")
			}
			changed := slices.Clone(one)
			changed[0].Content = []byte(strings.ReplaceAll(string(one[0].Content), signed, foreign) + " ")
			changed[0].Annotations = map[string]string{"dev.cosignproject.cosign/signature": "AAAA"}
			if _, err := signature.Check(signer(t, ours, ""), foreign, changed); err == nil {
				t.Error("changed content is accepted")
			}
		})
	}
}

// TestAnyOfTheSigners holds that one signer is enough, and that it is named.
func TestAnyOfTheSigners(t *testing.T) {
	signers := slices.Concat(signer(t, other, ""), signer(t, ours, ""))
	if by, err := signature.Check(signers, signed, byCosign(t, "app")); err != nil || by != ours {
		t.Errorf("signed by %q: %v", by, err)
	}
}

// TestScannedIsNotSigned holds that a list of vulnerabilities, though genuine and about the image,
// is no signature.
func TestScannedIsNotSigned(t *testing.T) {
	statements := byCosign(t, "scanned")
	if len(statements) != 2 {
		t.Fatalf("there are %d statements", len(statements))
	}
	_, err := signature.Check(signer(t, ours, ""), signed, statements)
	if err == nil || !strings.Contains(err.Error(), "cosign.sigstore.dev/attestation/vuln") {
		t.Errorf("error %v", err)
	}
}

func TestUnsigned(t *testing.T) {
	_, err := signature.Check(signer(t, ours, ""), signed, nil)
	if err == nil || !strings.Contains(err.Error(), "no signature beside it; wanted is one by "+ours) {
		t.Errorf("error %v", err)
	}
}

// TestKinds holds that keys of each kind prove what they signed, with the hash of either version of
// cosign, also if a certificate is stored with the signature.
func TestKinds(t *testing.T) {
	payload := []byte(`{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"` + signed +
		`"},"type":"cosign container image signature"}}`)
	curve := func(c elliptic.Curve) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return ecdsa.GenerateKey(c, rand.Reader) }
	}
	for _, c := range []struct {
		name string
		key  func() (crypto.Signer, error)
		hash crypto.Hash
	}{
		{"P-256", curve(elliptic.P256()), crypto.SHA256},
		{"P-384 as v2", curve(elliptic.P384()), crypto.SHA256},
		{"P-384 as v3", curve(elliptic.P384()), crypto.SHA384},
		{"P-521 as v3", curve(elliptic.P521()), crypto.SHA512},
		{"RSA", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }, crypto.SHA256},
		{"Ed25519", func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, err := c.key()
			if err != nil {
				t.Fatal(err)
			}
			text, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "k=1,2.pub")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			message := payload
			if c.hash != 0 {
				h := c.hash.New()
				h.Write(payload)
				message = h.Sum(nil)
			}
			made, err := key.Sign(rand.Reader, message, c.hash)
			if err != nil {
				t.Fatal(err)
			}
			annotations := map[string]string{
				"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(made),
				"dev.sigstore.cosign/certificate":    "of a corporate authority",
			}
			statement := registry.Statement{
				MediaType: registry.SimpleSigning, Content: payload, Annotations: annotations}
			if _, err := signature.Check(signer(t, file, ""), signed, []registry.Statement{statement}); err != nil {
				t.Error(err)
			}
			if _, err := signature.Check(signer(t, ours, ""), signed, []registry.Statement{statement}); err == nil {
				t.Error("another key is accepted")
			}
		})
	}
}

// TestPattern holds that signers count for the images that their pattern matches.
func TestPattern(t *testing.T) {
	s := signer(t, "ghcr.io/tektoncd/**="+ours, "")
	for text, want := range map[string]int{"ghcr.io/tektoncd/pipeline/nop:v1": 1, "docker.io/library/busybox": 0} {
		ref, err := image.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(signature.Of(s, ref)); got != want {
			t.Errorf("%d signers of %s, want %d", got, text, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	private := filepath.Join(t.TempDir(), "cosign.key")
	if err := os.WriteFile(private, []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(empty, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`),
		0o600); err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(t.TempDir(), "both.pub")
	key, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(both, slices.Concat(key, key), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, root, want string }{
		{"nope.pub", "", "reading the public key"},
		{private, "", "name the file of its public key"},
		{"testdata/README.md", "", "no public key in PEM form"},
		{"https://github.com/a/b", "", "as SUBJECT,ISSUER"},
		{"https://github.com/a/b,", "", "as SUBJECT,ISSUER"},
		{"a@example.com", "", "as SUBJECT,ISSUER"},
		{"*,https://issuer.example.com", ours, "would accept everybody"},
		{"a@example.com,https://*", ours, "has to be written in full"},
		{"a@example.com,https://issuer.example.com", empty, "no certificate authority"},
		{both, "", "more than one key"},
		{"https://github.com/a/b,https://issuer.example.com", "", "--trusted-root"},
		{"https://github.com/a/b,https://issuer.example.com", ours, "reading the trusted root"},
		{"ghcr.io=" + ours, "", "has to cover host and path"},
	} {
		if _, err := signature.Parse(c.text, c.root); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q in it", c.text, err, c.want)
		}
	}
}
