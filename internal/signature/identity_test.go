package signature_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/signature"
)

const (
	subject = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
	issuer  = "https://token.actions.githubusercontent.com"
)

// authority is a Sigstore of this process.
type authority struct {
	*ca.VirtualSigstore
	t *testing.T
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return authority{virtual, t}
}

// trustedRoot writes its trusted root. The authority proves nothing by certificate logs, so that a
// root with such logs accepts none of its certificates.
func (a authority) trustedRoot(certificateLogs bool) string {
	a.t.Helper()
	log := func(from map[string]*root.TransparencyLog) map[string]*root.TransparencyLog {
		for id, l := range from {
			raw, err := hex.DecodeString(id)
			if err != nil {
				a.t.Fatal(err)
			}
			l.ID = raw
		}
		return from
	}
	var certificates map[string]*root.TransparencyLog
	if certificateLogs {
		certificates = log(a.CTLogs())
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, a.FulcioCertificateAuthorities(), certificates,
		a.TimestampingAuthorities(), log(a.RekorLogs()))
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := trusted.MarshalJSON()
	if err != nil {
		a.t.Fatal(err)
	}
	file := filepath.Join(a.t.TempDir(), "trusted-root.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// signed is a signature in the form of cosign v2.
func (a authority) signed(digest string) registry.Statement {
	a.t.Helper()
	payload := `{"critical":{"identity":{"docker-reference":"ghcr.io/acme/app"},"image":{"docker-manifest-digest":"` +
		digest + `"},"type":"cosign container image signature"}}`
	made, err := a.Sign(subject, issuer, []byte(payload))
	if err != nil {
		a.t.Fatal(err)
	}
	content, err := made.SignatureContent()
	if err != nil {
		a.t.Fatal(err)
	}
	statement := a.statement(registry.SimpleSigning, payload, made)
	statement.Annotations["dev.cosignproject.cosign/signature"] = base64.StdEncoding.EncodeToString(content.Signature())
	return statement
}

// attested is an attestation in the form of cosign v2.
func (a authority) attested(digest, predicate string) registry.Statement {
	a.t.Helper()
	made, err := a.Attest(subject, issuer, []byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"app",`+
		`"digest":{"sha256":"`+strings.TrimPrefix(digest, "sha256:")+`"}}],"predicateType":"`+predicate+`","predicate":{}}`))
	if err != nil {
		a.t.Fatal(err)
	}
	content, err := made.SignatureContent()
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := json.Marshal(content.EnvelopeContent().RawEnvelope())
	if err != nil {
		a.t.Fatal(err)
	}
	return a.statement(registry.Envelope, string(text), made)
}

// statement stores certificate and log entry as cosign v2 does.
func (a authority) statement(mediaType, content string, made verify.SignedEntity) registry.Statement {
	a.t.Helper()
	material, err := made.VerificationContent()
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := cryptoutils.MarshalCertificateToPEM(material.Certificate())
	if err != nil {
		a.t.Fatal(err)
	}
	entries, err := made.TlogEntries()
	if err != nil {
		a.t.Fatal(err)
	}
	entry := entries[0].TransparencyLogEntry()
	payload := tlog.RekorPayload{Body: base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()),
		IntegratedTime: entry.GetIntegratedTime(), LogIndex: entry.GetLogIndex(),
		LogID: hex.EncodeToString(entry.GetLogId().GetKeyId())}
	promise, err := a.RekorSignPayload(payload)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"SignedEntryTimestamp": promise, "Payload": payload})
	if err != nil {
		a.t.Fatal(err)
	}
	return registry.Statement{MediaType: mediaType, Content: []byte(content), Annotations: map[string]string{
		"dev.sigstore.cosign/certificate": string(certificate), "dev.sigstore.cosign/bundle": string(text)}}
}

// TestIdentity holds that a certificate's subject and issuer count if a trusted root vouches for
// certificate and time, and nothing else does.
func TestIdentity(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	trusted := a.trustedRoot(false)
	for name, statement := range map[string]registry.Statement{
		"signature":  a.signed(signed),
		"provenance": a.attested(signed, "https://slsa.dev/provenance/v1"),
	} {
		without := registry.Statement{MediaType: statement.MediaType, Content: statement.Content,
			Annotations: map[string]string{}}
		for key, value := range statement.Annotations {
			if key != "dev.sigstore.cosign/bundle" {
				without.Annotations[key] = value
			}
		}
		for _, c := range []struct {
			why, who, root, digest string
			statement              registry.Statement
			accepted               bool
		}{
			{"the same", subject + "," + issuer, trusted, signed, statement, true},
			{"a pattern", "https://github.com/acme/*," + issuer, trusted, signed, statement, true},
			{"another subject", "https://github.com/acme/other," + issuer, trusted, signed, statement, false},
			{"the beginning of the subject", "https://github.com/acme," + issuer, trusted, signed, statement, false},
			{"another issuer", subject + ",https://accounts.example.com", trusted, signed, statement, false},
			{"another root", subject + "," + issuer, stranger.trustedRoot(false), signed, statement, false},
			{"a root with certificate logs", subject + "," + issuer, a.trustedRoot(true), signed, statement, false},
			{"another image", subject + "," + issuer, trusted, "sha256:" + strings.Repeat("0", 64), statement, false},
			{"no entry of a log", subject + "," + issuer, trusted, signed, without, false},
			{"a key in its place", ours, "", signed, statement, false},
		} {
			t.Run(name+"/"+c.why, func(t *testing.T) {
				_, err := signature.Check(signer(t, c.who, c.root), c.digest, []registry.Statement{c.statement})
				if (err == nil) != c.accepted {
					t.Errorf("error %v", err)
				}
			})
		}
	}
	_, err := signature.Check(signer(t, subject+","+issuer, trusted), signed,
		[]registry.Statement{a.attested(signed, "https://cosign.sigstore.dev/attestation/vuln/v1")})
	if err == nil || !strings.Contains(err.Error(), "approves of nothing") {
		t.Errorf("a list of vulnerabilities: error %v", err)
	}
}

// TestPublicSigstore holds that a bundle from Sigstore's public instance is accepted by its public
// trusted root. Both are in the library's module: the provenance of an npm package.
func TestPublicSigstore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	folder, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	examples := filepath.Join(strings.TrimSpace(string(folder)), "examples")
	text, err := os.ReadFile(filepath.Join(examples, "bundle-provenance.json"))
	if err != nil {
		t.Fatal(err)
	}
	statements := []registry.Statement{{MediaType: "application/vnd.dev.sigstore.bundle.v0.1+json", Content: text}}
	digest := "sha512:76176ffa33808b54602c7c35de5c6e9a4deb96066dba6533f50ac234f4f1f4c6" +
		"b3527515dc17c06fbe2860030f410eee69ea20079bd3a2c6f3dcf3b329b10751"
	trusted := filepath.Join(examples, "trusted-root-public-good.json")
	for who, accepted := range map[string]bool{
		"https://github.com/sigstore/sigstore-js/*," + issuer: true,
		subject + "," + issuer:                                false,
	} {
		if _, err := signature.Check(signer(t, who, trusted), digest, statements); (err == nil) != accepted {
			t.Errorf("%s: error %v", who, err)
		}
	}
}
