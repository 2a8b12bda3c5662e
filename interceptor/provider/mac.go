package provider

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
)

// Algorithm is a hash that forges sign with.
type Algorithm struct {
	Name string
	new  func() hash.Hash
	Size int
}

var (
	sha1Hash   = Algorithm{"sha1", sha1.New, sha1.Size}
	sha256Hash = Algorithm{"sha256", sha256.New, sha256.Size}
	sha512Hash = Algorithm{"sha512", sha512.New, sha512.Size}
)

// Algorithms are the hashes that the provider generic can be given.
var Algorithms = []Algorithm{sha1Hash, sha256Hash, sha512Hash}

// Sum returns the MAC over the parts, one after the other.
func (a Algorithm) Sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(a.new, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func (a Algorithm) ofBody(secret, body []byte) ([]byte, error) {
	return a.Sum(secret, body), nil
}

// token makes digests of a token and of the secret that it has to equal: values of
// one length can be compared without telling how much of them is right, nor how
// long the secret is.
func token(value string) []byte {
	digest := sha256.Sum256([]byte(value))
	return digest[:]
}

func secretItself(secret, _ []byte) ([]byte, error) {
	digest := sha256.Sum256(secret)
	return digest[:], nil
}

// readToken reads a token that the secret has to equal.
func (said *Claim) readToken(d Delivery, header, forge, what string) error {
	sent, err := d.Value(header)
	if err != nil {
		return err
	}
	if sent == "" {
		return unsigned(header, forge, what)
	}
	said.Digests, said.MAC, said.Covers = [][]byte{token(sent)}, secretItself, StrengthToken
	return nil
}

// readHex reads a MAC over the body that stands in hexadecimal after a prefix.
func (said *Claim) readHex(d Delivery, a Algorithm, header, prefix, forge string) error {
	signature, err := d.Value(header)
	if err != nil {
		return err
	}
	if signature == "" {
		return unsigned(header, forge, "secret")
	}
	digest, err := a.hexDigest(header, signature, prefix, forge)
	said.Digests, said.MAC, said.Covers = [][]byte{digest}, a.ofBody, StrengthBody
	return err
}

// hexDigest decodes a signature that is a prefix and the digest in hexadecimal.
// forge is the sender's name, where its hook can be given a secret.
func (a Algorithm) hexDigest(header, value, prefix, forge string) ([]byte, error) {
	digits, found := strings.CutPrefix(value, prefix)
	if !found {
		return nil, refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s does not begin with %s: %s sends it so, and no other algorithm is accepted", header, prefix,
			forge)
	}
	digest, err := hex.DecodeString(digits)
	if err == nil && len(digest) == a.Size {
		return digest, nil
	}
	if prefix != "" {
		prefix += " and "
	}
	return nil, refusal.New(refusal.Header, codes.InvalidArgument,
		"header %s is not %s%d hexadecimal digits: set a secret in the hook's settings at %s", header, prefix, 2*a.Size,
		forge)
}

// unsigned refuses a delivery without a signature. With allowInsecure it passes.
func unsigned(header, forge, what string) error {
	return refusal.New(refusal.Unsigned, codes.Unauthenticated,
		"header %s is missing or empty: set a %s in the hook's settings at %s, and the same value in the Secret",
		header, what, forge)
}
