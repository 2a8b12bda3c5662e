package interceptor_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
)

// FuzzHandler posts anything at all. The handler must not panic, must answer 200
// with JSON, and may say continue only where a reading of the same request by
// Tekton's types, and a MAC of its own, agree.
func FuzzHandler(f *testing.F) {
	reqs := []*v1beta1.InterceptorRequest{
		giteeRequest(), githubRequest(), giteeRequest(header("X-Gitee-Ping", "true")), giteeRequest(noParam("mode")),
		giteeRequest(header("x-gitee-token", "x")), githubRequest(noHeader("X-Hub-Signature-256")), {},
		githubRequest(param("branches", []string{"main", "!x*"}), param("eventTypes", []string{"push:*"})),
	}
	for _, v := range vectors {
		reqs = append(reqs, v.request())
	}
	for _, req := range reqs {
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
// secrets that tests know, or the secret itself, or the Trigger does not ask.
func signed(t *testing.T, raw []byte) bool {
	t.Helper()
	var req v1beta1.InterceptorRequest
	if err := json.Unmarshal(raw, &req); err != nil {
		t.Fatalf("continues although Tekton cannot read the request: %v", err)
	}
	if req.InterceptorParams["allowInsecure"] == true {
		return true
	}
	var values []string
	for _, list := range req.Header {
		values = append(values, list...)
	}
	if u, err := url.Parse(req.Context.EventURL); err == nil {
		for _, list := range u.Query() {
			values = append(values, list...)
		}
	}
	for _, data := range testSecrets() {
		for _, value := range data {
			key := strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r")
			if key != "" && slices.ContainsFunc(values, func(v string) bool { return shows(key, v, values, &req) }) {
				return true
			}
		}
	}
	return false
}

// shows says whether a header's value could only be made with the key.
func shows(key, value string, values []string, req *v1beta1.InterceptorRequest) bool {
	prefix, _ := req.InterceptorParams["prefix"].(string)
	forms := [][]byte{[]byte(strings.TrimPrefix(value, prefix))}
	for _, cut := range []string{"sha256=", "sha1=", prefix, "v1,", "Basic ", "basic "} {
		bare := strings.TrimPrefix(value, cut)
		for word := range strings.SplitSeq(bare, " ") {
			for _, w := range []string{word, strings.TrimPrefix(word, "v1,")} {
				if b, err := hex.DecodeString(w); err == nil {
					forms = append(forms, b)
				}
				if b, err := base64.StdEncoding.DecodeString(w); err == nil {
					forms = append(forms, b)
				}
			}
		}
	}
	messages := []string{req.Body}
	for _, stamp := range values {
		messages = append(messages, stamp+"\n"+key)
		for _, id := range append(slices.Clone(values), "") {
			messages = append(messages, id+"."+stamp+"."+req.Body)
		}
	}
	for _, form := range forms {
		if string(form) == key {
			return true
		}
		for _, algorithm := range []func() hash.Hash{sha1.New, sha256.New, sha512.New} {
			for _, k := range [][]byte{[]byte(key), standardBytes(key)} {
				if k != nil && anyMAC(algorithm, k, messages, form) {
					return true
				}
			}
		}
	}
	// A template of the Trigger's own may sign anything; that is the Trigger's say.
	_, template := req.InterceptorParams["template"]
	return template
}

func standardBytes(key string) []byte {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}

func anyMAC(algorithm func() hash.Hash, key []byte, messages []string, digest []byte) bool {
	for _, message := range messages {
		mac := hmac.New(algorithm, key)
		mac.Write([]byte(message))
		if hmac.Equal(mac.Sum(nil), digest) {
			return true
		}
	}
	return false
}

// FuzzVector changes one part of each delivery that passes: it may not pass any
// more, unless the part is none that the signature covers.
func FuzzVector(f *testing.F) {
	for i, v := range vectors {
		for _, name := range v.signed {
			f.Add(i, name, v.header[name], v.body)
		}
		f.Add(i, "", "", v.body+" ")
	}
	f.Fuzz(func(t *testing.T, i int, name, value, body string) {
		v := vectors[uint(i)%uint(len(vectors))]
		c := v
		c.header = maps.Clone(v.header)
		if slices.Contains(v.signed, name) {
			c.header[name] = value
		}
		c.body = body
		raw, err := json.Marshal(c.request())
		if err != nil {
			t.Fatal(err)
		}
		var sent v1beta1.InterceptorRequest // as it arrives
		if err := json.Unmarshal(raw, &sent); err != nil {
			t.Fatal(err)
		}
		same := v.anyBody || sent.Body == v.body
		for name, want := range v.header {
			got := sent.Header[http.CanonicalHeaderKey(name)][0]
			if slices.Contains(v.signed, name) && got != want && (!v.anyDigit || !strings.EqualFold(got, want)) {
				same = false
			}
		}
		if got := c.send(t); got.Continue && !same && !rewordedBasic(v, c) && !spareSignature(v, c) {
			t.Errorf("%s passes with %s %q and body %q", v.name, name, value, body)
		}
	})
}

// rewordedBasic says that the same user and password came under another spelling of
// the word basic.
func rewordedBasic(v, c vector) bool {
	want, got := v.header["Authorization"], c.header["Authorization"]
	return v.params["mode"] == "basic" && len(got) == len(want) && strings.EqualFold(got[:6], want[:6]) &&
		got[6:] == want[6:]
}

// spareSignature says that other signatures came beside the right one.
func spareSignature(v, c vector) bool {
	const name = "webhook-signature"
	return v.header[name] != "" && c.body == v.body && c.header["webhook-id"] == v.header["webhook-id"] &&
		c.header["webhook-timestamp"] == v.header["webhook-timestamp"] &&
		slices.Contains(strings.Split(c.header[name], " "), v.header[name])
}
