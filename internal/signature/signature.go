// Package signature says who signed an image, without a network.
//
// Sigstore's library (sigstore-go) verifies signatures, certificates and log entries; here is what
// it leaves to its user: what counts as a signature of an image, and cosign's older formats, which it
// does not read. The versions that exist all count:
//
//   - bundles, which cosign v3, GitHub and others write;
//   - cosign v2's signatures (.sig tags), which Tekton Chains writes too;
//   - cosign v2's attestations (.att tags).
//
// An image is signed by whoever signed its digest under one of the predicates in Predicates. Other
// attestations, such as lists of vulnerabilities, name the digest too and approve of nothing.
//
// The name in a signature is not compared: a mirror has the image under a name of its own, and the
// digest is what identifies it. Cosign does the same.
//
// A signature by a key is checked with the key alone. One by an identity needs the certificates and
// logs of a trusted root, which the caller has in a file, and everything that this root has: a time
// from a log or a timestamping authority, and, if it lists certificate logs, their proof.
package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// Predicates are the types of attestations that count as signatures: cosign v3's signature and
// provenance (slsa.dev, v0.1 to v1), with which the builder vouches for the image.
var Predicates = []string{
	"https://sigstore.dev/cosign/sign/v1",
	"https://slsa.dev/provenance/v0.1",
	"https://slsa.dev/provenance/v0.2",
	"https://slsa.dev/provenance/v1",
}

// Signer is a key or an identity whose signature is accepted, for the images that match a pattern.
type Signer struct {
	// Text is what Parse read.
	Text    string
	name    string
	pattern image.Pattern
	byKey   bool
	// verifiers differ in the hash that a key signs, which the versions of cosign choose differently.
	verifiers []*verify.Verifier
	policy    verify.PolicyOption
}

// String names the signer: the file of a key, or an identity.
func (s Signer) String() string { return s.name }

// Parse reads a signer as it is written on a command line: [PATTERN=]FILE for a public key in PEM
// form, or [PATTERN=]SUBJECT,ISSUER for an identity of a certificate. Without a pattern it is that of
// all images. trustedRoot is the file of a Sigstore trusted root, which identities need.
func Parse(text, trustedRoot string) (Signer, error) {
	pattern, who := "**", text
	if before, after, ok := strings.Cut(text, "="); ok && !strings.Contains(before, "://") && !exists(text) {
		pattern, who = before, after
	}
	compiled, err := image.CompilePattern(pattern)
	if err != nil {
		return Signer{}, err
	}
	s := Signer{Text: text, name: who, pattern: compiled}
	if subject, issuer, ok := strings.Cut(who, ","); ok && !exists(who) {
		s.name = fmt.Sprintf("%s (%s)", subject, issuer)
		return s, s.identity(subject, issuer, trustedRoot)
	}
	s.byKey = true
	return s, s.key(who)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// IsIdentity reports whether the signer is the subject of a certificate.
func (s Signer) IsIdentity() bool { return !s.byKey }

// key accepts signatures of the key in a file.
func (s *Signer) key(file string) error {
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist) && strings.ContainsAny(file, ":@"):
		return fmt.Errorf("%q is neither a file with a public key nor an identity: write an identity with the issuer "+
			"of its certificate, as SUBJECT,ISSUER", file)
	case err != nil:
		return fmt.Errorf("reading the public key: %w", err)
	case bytes.Contains(text, []byte("PRIVATE KEY")):
		return fmt.Errorf("%s holds a private key: name the file of its public key, such as cosign.pub", file)
	case bytes.Count(text, []byte("-----BEGIN ")) > 1:
		return fmt.Errorf("%s holds more than one key: name each in a file of its own, with another --signatures", file)
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(text)
	if err != nil {
		return fmt.Errorf("%s holds no public key in PEM form: %w", file, err)
	}
	verifiers, err := verifiersOf(public)
	if err != nil {
		return fmt.Errorf("the public key in %s: %w", file, err)
	}
	s.policy = verify.WithKey()
	for _, v := range verifiers {
		trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
			return root.NewExpiringKey(v, time.Time{}, time.Time{}), nil
		})
		verifier, err := verify.NewVerifier(trusted,
			verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate())
		if err != nil {
			return err
		}
		s.verifiers = append(s.verifiers, verifier)
	}
	return nil
}

// verifiersOf returns how a key may have signed. Cosign v2 signs the SHA-256 of a text whatever the
// key, and v3 the hash that belongs to its curve (sigstore/protobuf-specs, PublicKeyDetails).
func verifiersOf(public crypto.PublicKey) ([]signature.Verifier, error) {
	hashes := []crypto.Hash{crypto.SHA256}
	switch key := public.(type) {
	case ed25519.PublicKey:
		plain, err := signature.LoadED25519Verifier(key)
		if err != nil {
			return nil, err
		}
		hashed, err := signature.LoadED25519phVerifier(key)
		return []signature.Verifier{plain, hashed}, err
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P384():
			hashes = append(hashes, crypto.SHA384)
		case elliptic.P521():
			hashes = append(hashes, crypto.SHA512)
		}
	}
	var all []signature.Verifier
	for _, hash := range hashes {
		v, err := signature.LoadVerifier(public, hash)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// wildcard returns the regular expression of a text in which "*" stands for anything.
func wildcard(text string) string {
	return "^" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + "$"
}

// identity accepts signatures with certificates for a subject, by an issuer that a trusted root
// certifies. "*" in the subject stands for anything.
func (s *Signer) identity(subject, issuer, trustedRoot string) error {
	switch {
	case subject == "" || issuer == "":
		return errors.New("an identity is the subject of a certificate and its issuer, written as SUBJECT,ISSUER")
	case strings.Trim(subject, "*") == "":
		return fmt.Errorf("identity %q would accept everybody: name a subject", subject)
	case strings.Contains(issuer, "*"):
		return fmt.Errorf("identity %q: its issuer has to be written in full, not as %q", subject, issuer)
	case trustedRoot == "":
		return fmt.Errorf("identity %q: its certificates are checked with a Sigstore trusted root: name its file with "+
			"--trusted-root (`cosign trusted-root create --with-default-services` writes one)", subject)
	}
	trusted, err := root.NewTrustedRootFromPath(trustedRoot)
	if err != nil {
		return fmt.Errorf("reading the trusted root %s: %w", trustedRoot, err)
	}
	if len(trusted.FulcioCertificateAuthorities()) == 0 ||
		len(trusted.RekorLogs())+len(trusted.TimestampingAuthorities()) == 0 {
		return fmt.Errorf("the trusted root %s has no certificate authority, or neither a log nor a timestamping "+
			"authority: `cosign trusted-root create --with-default-services` writes that of Sigstore's public instance",
			trustedRoot)
	}
	exact, pattern := subject, ""
	if strings.Contains(subject, "*") {
		exact, pattern = "", wildcard(subject)
	}
	wanted, err := verify.NewShortCertificateIdentity(issuer, "", exact, pattern)
	if err != nil {
		return err
	}
	s.policy = verify.WithCertificateIdentity(wanted)
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(trusted.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	verifier, err := verify.NewVerifier(trusted, options...)
	s.verifiers = []*verify.Verifier{verifier}
	return err
}

// Of returns the signers whose pattern matches one of the names of an image: that in the manifests,
// and upstream.
func Of(signers []Signer, names ...image.Reference) []Signer {
	return slices.DeleteFunc(slices.Clone(signers), func(s Signer) bool {
		return !slices.ContainsFunc(names, s.pattern.Match)
	})
}

// Check returns the name of the first of the signers that signed the digest of an image. The error
// says why none of them did.
func Check(signers []Signer, digest string, statements []registry.Statement) (string, error) {
	var wanted []string
	for _, s := range signers {
		wanted = append(wanted, s.name)
	}
	by := strings.Join(wanted, " or ")
	if len(statements) == 0 {
		return "", fmt.Errorf("the repository has no signature beside it; wanted is one by %s", by)
	}
	var reasons []string
	for _, s := range signers {
		for _, statement := range statements {
			err := s.check(digest, statement)
			if err == nil {
				return s.name, nil
			}
			if reason := err.Error(); !slices.Contains(reasons, reason) && len(reasons) < mostReasons {
				reasons = append(reasons, reason)
			}
		}
	}
	return "", fmt.Errorf("the repository has %d signatures or attestations beside it, and none that is by %s and "+
		"approves of it: %s", len(statements), by, strings.Join(reasons, "; "))
}

// mostReasons is how many different reasons an error gives.
const mostReasons = 3

// check verifies one statement about a digest.
func (s *Signer) check(digest string, statement registry.Statement) error {
	algorithm, encoded, _ := strings.Cut(digest, ":")
	sum, err := hex.DecodeString(encoded)
	if err != nil {
		return err
	}
	signed, err := s.entity(statement)
	if err != nil {
		return err
	}
	var result *verify.VerificationResult
	for _, verifier := range s.verifiers {
		artifact := verify.WithArtifactDigest(algorithm, sum)
		if statement.MediaType == registry.SimpleSigning {
			artifact = verify.WithArtifact(bytes.NewReader(statement.Content))
		}
		if result, err = verifier.Verify(signed, verify.NewPolicy(artifact, s.policy)); err == nil {
			break
		}
	}
	switch {
	case err != nil:
		return err
	case statement.MediaType == registry.SimpleSigning:
		return names(statement.Content, digest)
	case result.Statement == nil:
		return errors.New("the bundle signs bytes, not a statement about an image")
	case !slices.Contains(Predicates, result.Statement.GetPredicateType()):
		return fmt.Errorf("an attestation of type %s approves of nothing", result.Statement.GetPredicateType())
	}
	return nil
}

// names holds that a document of simple signing is about a digest.
func names(document []byte, digest string) error {
	var signed payload.SimpleContainerImage
	if err := json.Unmarshal(document, &signed); err != nil {
		return fmt.Errorf("what was signed is not valid JSON: %w", err)
	}
	if kind := signed.Critical.Type; kind != payload.CosignSignatureType {
		return fmt.Errorf("what was signed is %q, not an image", kind)
	}
	if has := signed.Critical.Image.DockerManifestDigest; has != digest {
		return fmt.Errorf("what was signed is image %s", has)
	}
	return nil
}

// entity returns what Sigstore's library verifies.
func (s *Signer) entity(statement registry.Statement) (verify.SignedEntity, error) {
	if !registry.IsBundle(statement.MediaType) {
		return older(statement, s.byKey)
	}
	var signed bundle.Bundle
	if err := signed.UnmarshalJSON(statement.Content); err != nil {
		return nil, fmt.Errorf("reading a bundle: %w", err)
	}
	return &signed, nil
}
