package interceptor

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
)

// github checks what GitHub sends for a hook with a secret: in
// X-Hub-Signature-256 the word sha256= and, in hexadecimal, HMAC-SHA256 over the
// body, keyed with the secret. The older X-Hub-Signature with SHA-1 is not a
// second chance: who could choose it would choose the weaker one.
var github = Provider{
	Name: "github",
	Doc: "GitHub and GitHub Enterprise Server, in mode sha256: X-Hub-Signature-256. " +
		"The signature covers the body and not the time, so maxAge does not apply.",
	Modes: []string{"sha256"},
	read:  readGitHub,
}

func readGitHub(h headers) (claim, error) {
	signature, err := h.value("X-Hub-Signature-256")
	if err != nil {
		return claim{}, err
	}
	digest, err := githubDigest(signature, h)
	if err != nil {
		return claim{}, err
	}
	event, err := h.event("X-GitHub-Event", func(raw string) string { return raw })
	if err != nil {
		return claim{}, err
	}
	return claim{event: event, ping: event == "ping", digest: digest, mac: githubMAC, mismatch: lostBytes}, nil
}

func githubMAC(secret []byte, body string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

func githubDigest(signature string, h headers) ([]byte, error) {
	if signature == "" {
		return nil, githubUnsigned(h)
	}
	digits, found := strings.CutPrefix(signature, "sha256=")
	if !found {
		return nil, refuse(reasonHeader, codes.InvalidArgument,
			"header X-Hub-Signature-256 does not begin with sha256=: GitHub sends it so, and no other algorithm is accepted")
	}
	digest, err := hex.DecodeString(digits)
	if err != nil || len(digest) != sha256.Size {
		return nil, refuse(reasonHeader, codes.InvalidArgument,
			"header X-Hub-Signature-256 is not sha256= and 64 hexadecimal digits: set a secret in the hook's settings at GitHub")
	}
	return digest, nil
}

func githubUnsigned(h headers) error {
	if len(h["X-Hub-Signature"]) > 0 {
		return refuse(reasonUnsigned, codes.Unauthenticated,
			"the event has X-Hub-Signature (SHA-1) alone: let the sender, or GitHub Enterprise Server 2.23 or later, send X-Hub-Signature-256")
	}
	return refuse(reasonUnsigned, codes.Unauthenticated,
		"header X-Hub-Signature-256 is missing or empty: set a secret in the hook's settings at GitHub, and the same value in the Secret")
}

// lostBytes recognises a body that was not UTF-8. It reaches interceptors inside
// JSON, where such bytes become U+FFFD, and then no signature fits any more. A
// body that was sent with that character is still right, so it is looked for only
// after the MAC has failed.
func lostBytes(body string) string {
	if !strings.ContainsRune(body, utf8.RuneError) {
		return ""
	}
	return "the body holds U+FFFD, so bytes that are not UTF-8 were lost on the way: " +
		"set the hook's content type to application/json and send UTF-8, uncompressed"
}
