package interceptor

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// gitee checks what gitee.com sends for a hook with a signature key: in
// X-Gitee-Token the standard base64 of HMAC-SHA256, keyed with the secret, over
// X-Gitee-Timestamp, a newline and the secret. Its documentation adds
// URL-encoding and is wrong there, and the samples in circulation that encode
// twice or in hex match no delivery: all captured ones are encoded once.
//
// Nothing but the time is signed. Whoever has seen one delivery can therefore
// send any body until it is too old, and bodies repeat the signature; so the
// window is checked, and Gitee's users need TLS and long random secrets more than
// others do.
var gitee = Provider{
	Name: "gitee",
	Doc: "Gitee, in mode sign (the hook's signature key): X-Gitee-Token and X-Gitee-Timestamp. " +
		"The signature covers the time and not the body; deliveries older than maxAge are refused.",
	Modes: []string{"sign"},
	// A hook with a password looks the same but for the token's shape.
	ExplicitMode: true,
	SignsTime:    true,
	read:         readGitee,
}

func readGitee(h headers) (claim, error) {
	token, err := h.value("X-Gitee-Token")
	if err != nil {
		return claim{}, err
	}
	digest, err := giteeDigest(token)
	if err != nil {
		return claim{}, err
	}
	// The time comes with unsigned deliveries too, and says nothing about the mode.
	timestamp, err := h.value("X-Gitee-Timestamp")
	if err != nil {
		return claim{}, err
	}
	signedAt, err := giteeTime(timestamp)
	if err != nil {
		return claim{}, err
	}
	ping, err := h.value("X-Gitee-Ping")
	if err != nil {
		return claim{}, err
	}
	event, err := h.event("X-Gitee-Event", giteeEvent)
	if err != nil {
		return claim{}, err
	}
	return claim{
		event:    event,
		ping:     strings.EqualFold(ping, "true"),
		digest:   digest,
		signedAt: signedAt,
		mac:      func(secret []byte, _ string) []byte { return giteeMAC(secret, timestamp) },
	}, nil
}

func giteeMAC(secret []byte, timestamp string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "\n"))
	mac.Write(secret)
	return mac.Sum(nil)
}

// giteeDigest decodes the token. Where that fails, the token's shape often tells
// what went wrong at the sender.
func giteeDigest(token string) ([]byte, error) {
	if token == "" {
		return nil, refuse(reasonUnsigned, codes.Unauthenticated,
			"header X-Gitee-Token is missing or empty: set a signature key in the hook's settings at Gitee, and the same value in the Secret")
	}
	digest, err := base64.StdEncoding.Strict().DecodeString(token)
	if err == nil && len(digest) == sha256.Size {
		return digest, nil
	}
	return nil, refuse(reasonHeader, codes.InvalidArgument, "header X-Gitee-Token is no signature: %s", giteeTokenFault(token, digest))
}

func giteeTokenFault(token string, decoded []byte) string {
	inner, innerErr := base64.StdEncoding.DecodeString(string(decoded))
	isHex := func(b []byte) bool {
		_, err := hex.DecodeString(string(b))
		return err == nil && len(b) == 2*sha256.Size
	}
	switch {
	case innerErr == nil && len(inner) == sha256.Size:
		return "it is base64 of base64; encode the HMAC's 32 bytes once, as gitee.com does"
	case isHex([]byte(token)):
		return "it is hexadecimal; encode the HMAC's 32 bytes in base64, as gitee.com does"
	case isHex(decoded):
		return "it is base64 of hexadecimal; encode the HMAC's 32 bytes themselves, as gitee.com does"
	case strings.Contains(token, "%"):
		return "it is URL-encoded; send the base64 as it is, as gitee.com does"
	case strings.Contains(token, " "):
		return "it holds spaces, as if something on the way had URL-decoded its plus signs; pass the header on unchanged"
	}
	return "it is not the base64 of 32 bytes; if the hook at Gitee has a password, change it to a signature key"
}

var giteeTimestamp = regexp.MustCompile(`^[1-9][0-9]{12,13}$`)

// giteeTime parses Unix milliseconds. Fourteen digits last until the year 5138;
// fewer than thirteen are seconds, or the last century.
func giteeTime(timestamp string) (int64, error) {
	if !giteeTimestamp.MatchString(timestamp) {
		return 0, refuse(reasonHeader, codes.InvalidArgument,
			"header X-Gitee-Timestamp is %s: gitee.com sends milliseconds since 1970, in 13 digits", quote(timestamp))
	}
	return strconv.ParseInt(timestamp, 10, 64)
}

// giteeEvent makes one spelling of two: "Push Hook" and "push_hooks" are push.
func giteeEvent(raw string) string {
	event := strings.ReplaceAll(strings.ToLower(raw), " ", "_")
	event = strings.TrimSuffix(event, "s")
	return strings.TrimSuffix(event, "_hook")
}
