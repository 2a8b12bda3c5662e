package interceptor_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
)

// FuzzHandler posts anything at all. The handler must not panic, must answer 200
// with JSON, and may say continue only where a reading of the same request by
// Tekton's types, and a MAC of its own, agree.
func FuzzHandler(f *testing.F) {
	for _, req := range []*v1beta1.InterceptorRequest{
		giteeRequest(), githubRequest(), giteeRequest(header("X-Gitee-Ping", "true")), giteeRequest(noParam("mode")),
		giteeRequest(header("x-gitee-token", "x")), githubRequest(noHeader("X-Hub-Signature-256")), {},
	} {
		raw, err := json.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	h := newHandler(signedAt)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got := sendRaw(t, http.HandlerFunc(h.ServeHTTP), raw); got.Continue && !signed(t, raw) {
			t.Errorf("continues without a signature: %s", raw)
		}
	})
}

// signed says whether any of the request's headers holds a MAC by any of the
// secrets that tests know.
func signed(t *testing.T, raw []byte) bool {
	t.Helper()
	var req v1beta1.InterceptorRequest
	if err := json.Unmarshal(raw, &req); err != nil {
		t.Fatalf("continues although Tekton cannot read the request: %v", err)
	}
	stamps, digests := []string{}, [][]byte{}
	for key, values := range req.Header {
		for _, v := range values {
			switch http.CanonicalHeaderKey(key) {
			case "X-Gitee-Timestamp":
				stamps = append(stamps, v)
			case "X-Gitee-Token":
				d, _ := base64.StdEncoding.DecodeString(v)
				digests = append(digests, d)
			case "X-Hub-Signature-256":
				d, _ := hex.DecodeString(strings.TrimPrefix(v, "sha256="))
				digests = append(digests, d)
			}
		}
	}
	for _, values := range testSecrets() {
		for _, value := range values {
			key := strings.TrimRight(string(value), "\r\n")
			messages := []string{req.Body}
			for _, stamp := range stamps {
				messages = append(messages, stamp+"\n"+key)
			}
			if anyMAC(key, messages, digests) {
				return true
			}
		}
	}
	return false
}

func anyMAC(key string, messages []string, digests [][]byte) bool {
	for _, message := range messages {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(message))
		for _, d := range digests {
			if len(key) > 0 && hmac.Equal(mac.Sum(nil), d) {
				return true
			}
		}
	}
	return false
}
