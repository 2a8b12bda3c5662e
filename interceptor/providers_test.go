package interceptor_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
)

// vector is a delivery whose signature was not made by this package: with
// openssl, or by the forge itself.
type vector struct {
	name   string
	params map[string]any
	secret string
	body   string
	header map[string]string
	url    string
	event  string

	signed   []string // headers whose every byte the verdict depends on
	anyBody  bool     // the signature does not cover the body
	anyDigit bool     // hexadecimal in capitals is the same
}

const (
	vectorBody = `{"ref":"refs/heads/main","after":"67b56589a45103f891bdee7c0546e5d40bc02001"}` + "\n"
	// signedAt in seconds.
	signedSecond = "1754049600"
	standardKey  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// vectors were made with, for sha256 in hexadecimal:
//
//	printf '%s\n' '{"ref":…}' | openssl dgst -sha256 -hmac 'correct horse battery staple'
//
// for the others with -sha1 and -sha512, with -binary | base64, and for Standard
// Webhooks with -mac HMAC -macopt hexkey:… over msg_1.1754049600. and the body.
var vectors = []vector{
	{name: "gitee sign", params: map[string]any{"provider": "gitee", "mode": "sign"}, secret: secret, body: vectorBody,
		event: "push", anyBody: true,
		header: map[string]string{"X-Gitee-Token": giteeToken, "X-Gitee-Timestamp": "1754049600123",
			"X-Gitee-Event": "Push Hook"}, signed: []string{"X-Gitee-Token", "X-Gitee-Timestamp"}},
	{name: "gitee password", params: map[string]any{"provider": "gitee", "mode": "password"}, secret: secret,
		body: vectorBody, event: "push", anyBody: true,
		header: map[string]string{"X-Gitee-Token": secret, "X-Gitee-Timestamp": "1754049600123",
			"X-Gitee-Event": "push_hooks"}, signed: []string{"X-Gitee-Token"}},
	{name: "github sha256", params: map[string]any{"provider": "github"}, secret: secret, body: vectorBody,
		event: "push", anyDigit: true,
		header: map[string]string{"X-Hub-Signature-256": "sha256=" + vectorHex, "X-GitHub-Event": "push"},
		signed: []string{"X-Hub-Signature-256"}},
	{name: "github sha1", params: map[string]any{"provider": "github", "mode": "sha1"}, secret: secret,
		body: vectorBody, event: "push", anyDigit: true,
		header: map[string]string{"X-Hub-Signature": "sha1=" + vectorSHA1, "X-GitHub-Event": "push"},
		signed: []string{"X-Hub-Signature"}},
	{name: "gitlab token", params: map[string]any{"provider": "gitlab", "mode": "token"}, secret: secret,
		body: vectorBody, event: "merge_request", anyBody: true,
		header: map[string]string{"X-Gitlab-Token": secret, "X-Gitlab-Event": "Merge Request Hook"},
		signed: []string{"X-Gitlab-Token"}},
	{name: "gitlab signing token", params: map[string]any{"provider": "gitlab", "mode": "signing-token"},
		secret: standardKey, body: vectorBody, event: "tag_push",
		header: map[string]string{"webhook-id": "msg_1", "webhook-timestamp": signedSecond, "webhook-signature": "v1," +
			vectorStandard, "X-Gitlab-Event": "Tag Push Hook"},
		signed: []string{"webhook-id", "webhook-timestamp", "webhook-signature"}},
	{name: "gitea", params: map[string]any{"provider": "gitea"}, secret: secret, body: vectorBody, event: "push",
		anyDigit: true,
		header: map[string]string{"X-Gitea-Signature": vectorHex, "X-Gitea-Event": "push",
			"X-Hub-Signature-256": "sha256=0", "X-GitHub-Event": "push"}, signed: []string{"X-Gitea-Signature"}},
	{name: "forgejo", params: map[string]any{"provider": "gitea"}, secret: secret, body: vectorBody, event: "push",
		anyDigit: true,
		header:   map[string]string{"X-Forgejo-Signature": vectorHex, "X-Forgejo-Event": "push"},
		signed:   []string{"X-Forgejo-Signature"}},
	{name: "gogs", params: map[string]any{"provider": "gitea"}, secret: secret, body: vectorBody, event: "push",
		anyDigit: true,
		header:   map[string]string{"X-Gogs-Signature": vectorHex, "X-Gogs-Event": "push"},
		signed:   []string{"X-Gogs-Signature"}},
	{name: "gitcode sign", params: map[string]any{"provider": "gitcode", "mode": "sign"}, secret: secret,
		body: vectorBody, event: "push", anyDigit: true,
		header: map[string]string{"X-GitCode-Signature-256": "sha256=" + vectorHex, "X-GitCode-Event": "Push Hook"},
		signed: []string{"X-GitCode-Signature-256"}},
	{name: "gitcode token", params: map[string]any{"provider": "gitcode", "mode": "token"}, secret: secret,
		body: vectorBody, event: "note", anyBody: true,
		header: map[string]string{"X-GitCode-Token": secret, "X-GitCode-Event": "Note Hook"},
		signed: []string{"X-GitCode-Token"}},
	{name: "bitbucket", params: map[string]any{"provider": "bitbucket"}, secret: secret, body: vectorBody,
		event: "repo:push", anyDigit: true,
		header: map[string]string{"X-Hub-Signature": "sha256=" + vectorHex, "X-Event-Key": "repo:push"},
		signed: []string{"X-Hub-Signature"}},
	{name: "generic sha1", params: map[string]any{"provider": "generic", "mode": "hmac", "header": "X-Coding-Signature",
		"algorithm": "sha1", "prefix": "sha1=", "eventHeader": "X-Coding-Event"}, secret: secret, body: vectorBody,
		event: "push", anyDigit: true,
		header: map[string]string{"X-Coding-Signature": "sha1=" + vectorSHA1, "X-Coding-Event": "push"},
		signed: []string{"X-Coding-Signature"}},
	{name: "generic base64", params: map[string]any{"provider": "generic", "mode": "hmac", "header": "X-Sig",
		"encoding": "base64"}, secret: secret, body: vectorBody,
		header: map[string]string{"X-Sig": vectorBase64}, signed: []string{"X-Sig"}},
	{name: "generic sha512", params: map[string]any{"provider": "generic", "mode": "hmac", "header": "X-Sig",
		"algorithm": "sha512"}, secret: secret, body: vectorBody, anyDigit: true,
		header: map[string]string{"X-Sig": vectorSHA512}, signed: []string{"X-Sig"}},
	{name: "generic as gitee", params: map[string]any{"provider": "generic", "mode": "hmac", "header": "X-Gitee-Token",
		"encoding": "base64", "template": "{timestamp}\n{secret}", "timestampHeader": "X-Gitee-Timestamp"},
		secret: secret, body: vectorBody, anyBody: true,
		header: map[string]string{"X-Gitee-Token": giteeToken, "X-Gitee-Timestamp": "1754049600123"},
		signed: []string{"X-Gitee-Token", "X-Gitee-Timestamp"}},
	{name: "generic with a time and a header", params: map[string]any{"provider": "generic", "mode": "hmac",
		"header": "X-Sig", "encoding": "base64", "template": "{header:X-Id}.{timestamp}.{body}",
		"timestampHeader": "X-Time"},
		secret: "1\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6\x48\xa3\x62\xda\x2d\xa4\xb0",
		body:   vectorBody,
		header: map[string]string{"X-Sig": vectorStandard, "X-Id": "msg_1", "X-Time": signedSecond},
		signed: []string{"X-Sig", "X-Id", "X-Time"}},
	{name: "generic token", params: map[string]any{"provider": "generic", "mode": "token", "header": "Authorization",
		"prefix": "Bearer "}, secret: secret, body: vectorBody, anyBody: true,
		header: map[string]string{"Authorization": "Bearer " + secret}, signed: []string{"Authorization"}},
	{name: "generic query", params: map[string]any{"provider": "generic", "mode": "token", "query": "token"},
		secret: secret, body: vectorBody, anyBody: true,
		url: "/hook?a=b&token=correct+horse%20battery+staple"},
	{name: "generic basic", params: map[string]any{"provider": "generic", "mode": "basic"}, secret: "tekton:" + secret,
		body: vectorBody, anyBody: true,
		header: map[string]string{"Authorization": "Basic dGVrdG9uOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU="},
		signed: []string{"Authorization"}},
}

func (v vector) request() *v1beta1.InterceptorRequest {
	params := maps.Clone(v.params)
	params["secretRef"] = map[string]any{"secretName": "hook", "secretKey": "token"}
	headers := map[string][]string{"Content-Type": {"application/json"}}
	for name, value := range v.header {
		headers[http.CanonicalHeaderKey(name)] = []string{value}
	}
	return &v1beta1.InterceptorRequest{
		Body: v.body, Header: headers, InterceptorParams: params,
		Context: &v1beta1.TriggerContext{EventURL: v.url, EventID: "evt-3", TriggerID: triggerID},
	}
}

func (v vector) send(t testing.TB) *v1beta1.InterceptorResponse {
	t.Helper()
	h := interceptor.New(interceptor.Default(),
		interceptor.Options{After: instantly, Callers: anyone{},
			Secrets: secrets{"ci/hook": {"token": []byte(v.secret)}}, Log: logr.Discard(),
			Now: at(signedAt)})
	return send(t, h, v.request())
}

// covers returns what the vector's signature covers.
func (v vector) covers() provider.Strength {
	switch {
	case !v.anyBody:
		return provider.StrengthBody
	case v.params["mode"] == "sign" || v.params["mode"] == "hmac":
		return provider.StrengthTime
	}
	return provider.StrengthToken
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			got := v.send(t)
			if !got.Continue {
				t.Fatalf("refused: %s", got.Status.Message)
			}
			git := got.Extensions["git"].(map[string]any)
			if git["provider"] != v.params["provider"] || git["event"] != v.event ||
				git["verifiedBy"] != "hook/token" || git["verified"] != string(v.covers()) {
				t.Errorf("got %v", git)
			}
			v.changeEveryByte(t)
		})
	}
}

// changeEveryByte changes each byte of what is signed and of the secret in turn.
func (v vector) changeEveryByte(t *testing.T) {
	t.Helper()
	for i := range v.secret {
		c := v
		c.secret = changedByte(v.secret, i)
		if strings.HasPrefix(v.secret, "whsec_") && i < len("whsec_") {
			continue // a name, which need not be there
		}
		if c.send(t).Continue {
			t.Errorf("passes with byte %d of the secret changed", i)
		}
	}
	for i := range v.body {
		c := v
		c.body = changedByte(v.body, i)
		if got := c.send(t).Continue; got && !v.anyBody {
			t.Errorf("passes with byte %d of the body changed", i)
		}
	}
	for _, name := range v.signed {
		for i := range v.header[name] {
			c := v
			c.header = maps.Clone(v.header)
			c.header[name] = changedByte(v.header[name], i)
			if v.anyDigit && strings.EqualFold(c.header[name], v.header[name]) {
				continue
			}
			if name == "Authorization" && strings.EqualFold(c.header[name], v.header[name]) {
				continue
			}
			if c.send(t).Continue {
				t.Errorf("passes with byte %d of %s changed", i, name)
			}
		}
	}
}

func changedByte(s string, i int) string {
	b := []byte(s)
	b[i] ^= 1
	if b[i] < ' ' || b[i] == '"' {
		b[i] ^= 3
	}
	return string(b)
}

// TestRecipes signs as the sender does, and verifies with what the reference tells
// people to write.
func TestRecipes(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range interceptor.Recipes {
		t.Run(r.Name, func(t *testing.T) {
			if seen[r.Name] || r.Setup == "" || r.Title == "" || r.Secret == "" {
				t.Errorf("the recipe needs a name of its own, a title, a setup and a secret")
			}
			seen[r.Name] = true
			key := secret
			switch {
			case strings.HasPrefix(r.Secret, "whsec_"):
				key = standardKey
			case strings.HasPrefix(r.Secret, "tekton:"):
				key = "tekton:" + secret
			}
			v := signedVector(t, r.JSON(interceptor.SecretKey{}), key, r.Event)
			got := v.send(t)
			if !got.Continue {
				t.Fatalf("refused: %s", got.Status.Message)
			}
			if git := got.Extensions["git"].(map[string]any); r.Event != "" && git["event"] != r.Event {
				t.Errorf("got event %v, want %s", git["event"], r.Event)
			}
			v.secret += "x"
			if v.send(t).Continue {
				t.Error("passes with another secret")
			}
		})
	}
	for _, p := range provider.All {
		if !seen[p.Name] && p.Name != "generic" {
			t.Errorf("provider %s has no recipe", p.Name)
		}
	}
}

// signedVector signs a push with this package.
func signedVector(t testing.TB, raw json.RawMessage, key, event string) vector {
	t.Helper()
	s, err := interceptor.Sign(raw, []byte(key), provider.Outgoing{Event: event, Body: []byte(vectorBody),
		Time: time.UnixMilli(signedAt), ID: "8d6a5f30"})
	if err != nil {
		t.Fatal(err)
	}
	v := vector{secret: key, body: vectorBody, header: map[string]string{}}
	if err := json.Unmarshal(raw, &v.params); err != nil {
		t.Fatal(err)
	}
	for name := range s.Header {
		v.header[name] = s.Header.Get(name)
	}
	if len(s.Query) > 0 {
		v.url = "/?" + s.Query.Encode()
	}
	return v
}

// TestSignMakesTheVectors compares what is signed here with what openssl made.
func TestSignMakesTheVectors(t *testing.T) {
	for _, v := range vectors {
		if v.name == "forgejo" || v.name == "gogs" || v.url != "" || strings.Contains(v.name, "with a time and") {
			continue // Gitea's headers stand for both; the URL and the id are chosen otherwise
		}
		t.Run(v.name, func(t *testing.T) {
			raw, err := json.Marshal(v.params)
			if err != nil {
				t.Fatal(err)
			}
			o := provider.Outgoing{Event: v.event, Body: []byte(v.body), Time: time.UnixMilli(signedAt), ID: "msg_1"}
			if v.params["provider"] == "generic" {
				o.Time = o.Time.Truncate(time.Second)
			}
			s, err := interceptor.Sign(raw, []byte(v.secret), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range v.signed {
				if v.name == "generic as gitee" {
					continue // it signs in seconds
				}
				if got := s.Header.Get(name); got != v.header[name] {
					t.Errorf("%s: got %q, want %q", name, got, v.header[name])
				}
			}
		})
	}
}

// TestStandardWebhooksLibrary holds the signing token to the reference library of
// Standard Webhooks, in both directions.
func TestStandardWebhooksLibrary(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	library, err := standardwebhooks.NewWebhook("whsec_" + key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := library.Sign("msg_2", now, []byte(vectorBody))
	if err != nil {
		t.Fatal(err)
	}
	other, err := library.Sign("msg_2", now, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	secretsOf := secrets{"ci/hook": {"token": []byte("whsec_" + key), "bare": []byte(key)}}
	h := interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: secretsOf, Log: logr.Discard(),
		Now: time.Now})
	v := vector{params: map[string]any{"provider": "gitlab", "mode": "signing-token"}, body: vectorBody,
		header: map[string]string{"webhook-id": "msg_2", "webhook-timestamp": fmt.Sprint(now.Unix()),
			"webhook-signature": signature}}
	for name, tt := range map[string]struct {
		signature string
		pass      bool
	}{
		"one": {signature, true}, "two, the second right": {other + " " + signature, true},
		"two, the first right": {signature + " v1a,xyz", true},
		"none right":           {other, false}, "another version alone": {"v2," + signature[3:], false},
		"not base64": {"v1,###", false},
	} {
		v.header["webhook-signature"] = tt.signature
		if got := send(t, h, v.request()); got.Continue != tt.pass {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	// The headers of Svix are the same.
	v.header = map[string]string{"svix-id": "msg_2", "svix-timestamp": fmt.Sprint(now.Unix()),
		"svix-signature": signature}
	if got := send(t, h, v.request()); !got.Continue {
		t.Errorf("svix: %s", got.Status.Message)
	}
	s, err := interceptor.Sign(json.RawMessage(`{"provider":"gitlab","mode":"signing-token"}`), []byte("whsec_"+key),
		provider.Outgoing{Body: []byte(vectorBody), Time: now, ID: "msg_3"})
	if err != nil {
		t.Fatal(err)
	}
	if err := library.Verify([]byte(vectorBody), s.Header); err != nil {
		t.Errorf("the library refuses what is signed here: %v", err)
	}
}

// TestAlgorithmsAreNotMixed holds that each way of signing is taken by its own
// provider and mode alone, where a header is another's too.
func TestAlgorithmsAreNotMixed(t *testing.T) {
	for _, v := range vectors {
		for _, other := range vectors {
			if v.params["provider"] == "generic" || other.params["provider"] == "generic" {
				continue
			}
			c := v
			c.params = other.params
			same := v.params["provider"] == other.params["provider"] && v.params["mode"] == other.params["mode"]
			if got := c.send(t).Continue; got != same {
				t.Errorf("a delivery of %s to %s: continue is %v", v.name, other.name, got)
			}
		}
	}
}

// TestKeyLength holds that minSecretLength is about the signing key: a value whose text is long
// enough may stand for a key of a byte.
func TestKeyLength(t *testing.T) {
	for _, tt := range []struct {
		params, key string
		pass        bool
	}{
		{`{"provider":"gitlab","mode":"signing-token"}`, "whsec_YQ==", false},
		{`{"provider":"gitlab","mode":"signing-token"}`, "whsec_YWJjZGU=", false},
		{`{"provider":"gitlab","mode":"signing-token"}`, "whsec_YWJjZGVm", true},
		{`{"provider":"generic","mode":"basic"}`, "administrator:12345", false},
		{`{"provider":"generic","mode":"basic"}`, "a:123456", true},
	} {
		v := signedVector(t, json.RawMessage(tt.params), tt.key, "push")
		h := interceptor.New(interceptor.Default(), interceptor.Options{
			After: instantly, Callers: anyone{},
			Secrets: secrets{"ci/hook": {"token": []byte(tt.key)}}, Log: logr.Discard(), Now: at(signedAt)})
		if got := send(t, h, v.request()); got.Continue != tt.pass {
			t.Errorf("%s: got %+v, want continue %v", tt.key, got, tt.pass)
		}
	}
}

func outgoing(event, body string) provider.Outgoing {
	return provider.Outgoing{Event: event, Body: []byte(body), Time: time.UnixMilli(signedAt), ID: "8d6a5f30"}
}
