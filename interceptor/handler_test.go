package interceptor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"google.golang.org/grpc/codes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/interceptor"
)

const (
	signedAt  = 1754049600123
	secret    = "correct horse battery staple"
	triggerID = "namespaces/ci/triggers/build"

	// Made with: printf '%s\n%s' 1754049600123 "$secret" | openssl dgst -sha256 -hmac "$secret" -binary | base64
	giteeToken = "UiNzQSen6SEC9g8K8KpxFx2XgGxgwu3W9dM9kp29EAo="
	// Made with: printf '{"a":"<&>\\u00e9 \xe4\xb8\xad"}\n' | openssl dgst -sha256 -hmac "$secret"
	githubSignature = "sha256=f7003919e380fa318599635bff4caa609065e191ff628d8781375d38f6ea7e09"
	githubBody      = `{"a":"<&>\u00e9 中"}` + "\n"
)

var secretsResource = schema.GroupResource{Resource: "secrets"}

// secrets are namespaces' Secrets, by "namespace/name".
type secrets map[string]map[string][]byte

func (s secrets) Get(_ context.Context, namespace, name string) (*interceptor.Secret, error) {
	switch name {
	case "forbidden":
		return nil, apierrors.NewForbidden(secretsResource, name, errors.New("no RBAC"))
	case "away":
		return nil, errors.New("dial tcp 10.0.0.1:443: connection refused")
	case "panics":
		panic("a value that quotes " + secret)
	}
	data, found := s[namespace+"/"+name]
	if !found {
		return nil, apierrors.NewNotFound(secretsResource, name)
	}
	return &interceptor.Secret{Data: data}, nil
}

func testSecrets() secrets {
	return secrets{
		"ci/hook": {
			"token": []byte(secret), "newline": []byte(secret + "\n"), "crlf": []byte(secret + "\r\n"),
			"two": []byte(secret + "\n\n"), "empty": {}, "blank": []byte("\n"), "short": []byte("12345"),
			"tutorial": []byte("123456"),
		},
		"other/hook": {"token": []byte("another one entirely")},
	}
}

// at is a clock that stands still.
func at(ms int64) func() time.Time {
	return func() time.Time { return time.UnixMilli(ms) }
}

// instantly is time.After for tests that need not wait.
func instantly(time.Duration) <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}

// anyone believes every caller.
type anyone struct{}

func (anyone) Check(context.Context, string, interceptor.ParamsDigest) error { return nil }

func newHandler(ms int64) *interceptor.Handler {
	return interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: testSecrets(), Log: logr.Discard(),
		Now: at(ms)})
}

type edit func(*v1beta1.InterceptorRequest)

func header(name string, values ...string) edit {
	return func(r *v1beta1.InterceptorRequest) { r.Header[name] = values }
}

func noHeader(name string) edit {
	return func(r *v1beta1.InterceptorRequest) { delete(r.Header, name) }
}

func param(name string, value any) edit {
	return func(r *v1beta1.InterceptorRequest) { r.InterceptorParams[name] = value }
}

func noParam(name string) edit {
	return func(r *v1beta1.InterceptorRequest) { delete(r.InterceptorParams, name) }
}

func secretRef(name, key string) edit {
	return param("secretRef", map[string]any{"secretName": name, "secretKey": key})
}

func trigger(id string) edit {
	return func(r *v1beta1.InterceptorRequest) { r.Context.TriggerID = id }
}

func body(b string) edit {
	return func(r *v1beta1.InterceptorRequest) { r.Body = b }
}

func giteeRequest(edits ...edit) *v1beta1.InterceptorRequest {
	return edited(&v1beta1.InterceptorRequest{
		Body: `{"ref":"refs/heads/master"}`,
		Header: map[string][]string{
			"Content-Type":        {"application/json"},
			"X-Gitee-Event":       {"Push Hook"},
			"X-Git-Oschina-Event": {"Push Hook"},
			"X-Gitee-Ping":        {"false"},
			"X-Gitee-Timestamp":   {fmt.Sprint(signedAt)},
			"X-Gitee-Token":       {giteeToken},
		},
		InterceptorParams: map[string]any{
			"provider": "gitee", "mode": "sign",
			"secretRef": map[string]any{"secretName": "hook", "secretKey": "token"},
		},
		Context: &v1beta1.TriggerContext{EventURL: "/", EventID: "evt-1", TriggerID: triggerID},
	}, edits)
}

func githubRequest(edits ...edit) *v1beta1.InterceptorRequest {
	return edited(&v1beta1.InterceptorRequest{
		Body: githubBody,
		Header: map[string][]string{
			"Content-Type":        {"application/json"},
			"X-Github-Event":      {"push"},
			"X-Hub-Signature":     {"sha1=0000000000000000000000000000000000000000"},
			"X-Hub-Signature-256": {githubSignature},
		},
		InterceptorParams: map[string]any{
			"provider":  "github",
			"secretRef": map[string]any{"secretName": "hook", "secretKey": "token"},
		},
		Context: &v1beta1.TriggerContext{EventURL: "/", EventID: "evt-2", TriggerID: triggerID},
	}, edits)
}

func edited(r *v1beta1.InterceptorRequest, edits []edit) *v1beta1.InterceptorRequest {
	r.Header = maps.Clone(r.Header)
	for _, e := range edits {
		e(r)
	}
	return r
}

// send posts a request and insists on what every verdict has in common.
func send(t testing.TB, h http.Handler, req *v1beta1.InterceptorRequest) *v1beta1.InterceptorResponse {
	t.Helper()
	raw, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return sendRaw(t, h, raw)
}

func sendRaw(t testing.TB, h http.Handler, raw []byte) *v1beta1.InterceptorResponse {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, interceptor.Path, bytes.NewReader(raw)))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("got status %d and content type %q, want 200 and application/json", w.Code,
			w.Header().Get("Content-Type"))
	}
	got := &v1beta1.InterceptorResponse{}
	if err := json.Unmarshal(w.Body.Bytes(), got); err != nil {
		t.Fatalf("the answer %q is not JSON: %v", w.Body, err)
	}
	if !got.Continue && (got.Status.Message == "" || len(got.Extensions) > 0 ||
		strings.Contains(got.Status.Message, "\n")) {
		t.Fatalf("a refusal needs one sentence and no extensions: %s", w.Body)
	}
	return got
}

func TestAccepted(t *testing.T) {
	tests := []struct {
		name  string
		req   *v1beta1.InterceptorRequest
		event string
	}{
		{"gitee", giteeRequest(), "push"},
		{"gitee, the other spelling of events", giteeRequest(header("X-Gitee-Event", "merge_request_hooks")),
			"merge_request"},
		{"gitee, no event named", giteeRequest(noHeader("X-Gitee-Event"), noHeader("X-Git-Oschina-Event")), ""},
		{"gitee, the older event header", giteeRequest(noHeader("X-Gitee-Event")), "push"},
		{"gitee, header keys of any case", giteeRequest(
			noHeader("X-Gitee-Token"), header("x-gitee-token", giteeToken), noHeader("X-Gitee-Timestamp"),
			header("X-GITEE-TIMESTAMP", fmt.Sprint(signedAt))), "push"},
		{"gitee, one value twice", giteeRequest(header("X-Gitee-Token", giteeToken, giteeToken),
			header("x-gitee-token", giteeToken)), "push"},
		{"gitee, other headers repeated", giteeRequest(header("X-Forwarded-For", "10.0.0.1", "10.0.0.2")), "push"},
		{"gitee, a body in another encoding", giteeRequest(body("\ufffd")), "push"},
		{"gitee, empty body", giteeRequest(body("")), "push"},
		{"gitee, a maxAge of its own", giteeRequest(param("maxAge", "1ms")), "push"},
		{"gitee, the tutorial's secret", giteeRequest(secretRef("hook", "tutorial"),
			header("X-Gitee-Token", "ZNM4ZerjTIkOIalMHdYAHRIcwK3vZsARBJLMdJ3e9us=")), "push"},
		{"inline trigger without a name", giteeRequest(trigger("namespaces/ci/triggers/")), "push"},
		{"trigger with a label's name", giteeRequest(trigger("namespaces/ci/triggers/Build_1.x")), "push"},
		{"trigger group", giteeRequest(trigger("namespaces/ci/triggerGroups/my group")), "push"},
		{"secret with one newline", giteeRequest(secretRef("hook", "newline")), "push"},
		{"secret with one CRLF", giteeRequest(secretRef("hook", "crlf")), "push"},
		{"github", githubRequest(), "push"},
		{"github, mode named", githubRequest(param("mode", "sha256")), "push"},
		{"github, no content type", githubRequest(noHeader("Content-Type")), "push"},
		{"github, U+FFFD that was sent so", githubRequest(
			body("\ufffd"), header("X-Hub-Signature-256",
				"sha256=120516ba086796c272d45afbb187f1e2e7b9b247ab70c551feb4016edce637b8")), "push"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := send(t, newHandler(signedAt), tt.req)
			if !got.Continue {
				t.Fatalf("refused: %s", got.Status.Message)
			}
			git, _ := got.Extensions["git"].(map[string]any)
			if git["provider"] != tt.req.InterceptorParams["provider"] || git["event"] != tt.event ||
				git["verified"] == "none" {
				t.Errorf("got extensions %v", got.Extensions)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	const (
		invalid = codes.InvalidArgument
		unauth  = codes.Unauthenticated
	)
	tests := []struct {
		name string
		req  *v1beta1.InterceptorRequest
		code codes.Code
		want string
	}{
		// Trigger id.
		{"no context", edited(giteeRequest(), []edit{func(r *v1beta1.InterceptorRequest) { r.Context = nil }}), invalid,
			"has no context"},
		{"no trigger id", giteeRequest(trigger("")), invalid, "the trigger id is"},
		{"trigger in a namespace of the cluster", giteeRequest(trigger("namespaces/kube-system/triggers/x")),
			codes.PermissionDenied, "belongs to the cluster"},
		{"trigger in Tekgate's namespace", giteeRequest(trigger("namespaces/tekgate/triggers/x")),
			codes.PermissionDenied, "belongs to the cluster"},
		{"trigger id of another shape", giteeRequest(trigger("x/kube-system/y/z")), invalid, "the trigger id is"},
		{"trigger id with too few parts", giteeRequest(trigger("namespaces/ci/triggers")), invalid,
			"the trigger id is"},
		{"trigger id with too many parts", giteeRequest(trigger("namespaces/ci/triggers/a/b")), invalid,
			"the trigger id is"},
		{"trigger id of another kind", giteeRequest(trigger("namespaces/ci/secrets/a")), invalid, "the trigger id is"},
		{"trigger id without a namespace", giteeRequest(trigger("namespaces//triggers/a")), invalid,
			"the trigger id is"},
		{"trigger id with dots", giteeRequest(trigger("namespaces/../triggers/a")), invalid, "the trigger id is"},
		{"trigger id with capitals", giteeRequest(trigger("namespaces/CI/triggers/a")), invalid, "the trigger id is"},
		{"trigger id with a line break", giteeRequest(trigger("namespaces/ci/triggers/a\nb")), invalid, `a\nb`},
		{"trigger group without a name", giteeRequest(trigger("namespaces/ci/triggerGroups/")), invalid,
			"the trigger id is"},
		// Params.
		{"no params", edited(giteeRequest(), []edit{func(r *v1beta1.InterceptorRequest) { r.InterceptorParams = nil }}),
			invalid, "param provider is missing"},
		{"misspelt param", giteeRequest(noParam("secretRef"), param("secretref", map[string]any{})), invalid,
			`did you mean "secretRef"?`},
		{"unknown param", giteeRequest(param("zzz", 1), param("yyy", 2)), invalid,
			"known here are provider, mode, secretRef, secretRefs, maxAge"},
		{"misspelt key in secretRef", giteeRequest(param("secretRef", map[string]any{"name": "hook"})), invalid,
			`"secretRef.name"`},
		{"param of another type", giteeRequest(param("mode", []string{"sign"})), invalid, "reading the params"},
		{"no provider", giteeRequest(noParam("provider")), invalid,
			"one of gitee, github, gitlab, gitea, gitcode, bitbucket, generic"},
		{"misspelt provider", giteeRequest(param("provider", "gittee")), invalid, `did you mean "gitee"?`},
		{"unknown provider", giteeRequest(param("provider", "svn")), invalid,
			"one of gitee, github, gitlab, gitea, gitcode, bitbucket, generic"},
		{"no mode for gitee", giteeRequest(noParam("mode")), invalid, "param mode is missing"},
		{"a mode that gitee lacks", giteeRequest(param("mode", "sha256")), invalid, "set it to one of sign, password"},
		{"a mode that github lacks", githubRequest(param("mode", "md5")), invalid, "set it to one of sha256, sha1"},
		{"no secretRef", giteeRequest(noParam("secretRef")), invalid, "nothing passes unverified"},
		{"no secretKey", giteeRequest(secretRef("hook", "")), invalid, "secretRef.secretKey"},
		{"no secretName", giteeRequest(secretRef("", "token")), invalid, "secretRef.secretName"},
		{"secretName that climbs", giteeRequest(secretRef("../../other/secrets/hook", "token")), invalid,
			"secretRef.secretName"},
		{"maxAge zero", giteeRequest(param("maxAge", "0s")), invalid, "param maxAge is 0s"},
		{"maxAge negative", giteeRequest(param("maxAge", "-1h")), invalid, "param maxAge is -1h"},
		{"maxAge no duration", giteeRequest(param("maxAge", "soon")), invalid, "reading the params"},
		{"maxAge where no time is signed", githubRequest(param("maxAge", "1h")), invalid, "remove it"},
		// Headers.
		{"no headers", edited(giteeRequest(), []edit{func(r *v1beta1.InterceptorRequest) { r.Header = nil }}), unauth,
			"X-Gitee-Token is missing or empty"},
		{"form", giteeRequest(header("Content-Type", "application/x-www-form-urlencoded")), invalid,
			"content type to application/json"},
		{"form with parameters",
			githubRequest(header("Content-Type", "Application/X-WWW-Form-Urlencoded; charset=utf-8")), invalid,
			"is a form"},
		{"form with broken parameters", githubRequest(header("Content-Type", "application/x-www-form-urlencoded;;=")),
			invalid, "is a form"},
		{"form of parts", githubRequest(header("Content-Type", `multipart/form-data; boundary="x"`)), invalid,
			"is a form"},
		{"two content types", githubRequest(header("Content-Type", "application/json", "text/plain")), invalid,
			"Content-Type came with different values"},
		{"empty token", giteeRequest(header("X-Gitee-Token", "")), unauth, "missing or empty"},
		{"empty list for token", giteeRequest(header("X-Gitee-Token")), unauth, "missing or empty"},
		{"null list for token", giteeRequest(func(r *v1beta1.InterceptorRequest) { r.Header["X-Gitee-Token"] = nil }),
			unauth, "missing or empty"},
		{"two tokens", giteeRequest(header("X-Gitee-Token", giteeToken, "x")), invalid,
			"X-Gitee-Token came with different values"},
		{"two tokens under keys of different case", giteeRequest(header("x-gitee-token", "x")), invalid,
			"X-Gitee-Token came with different values"},
		{"two timestamps", giteeRequest(header("x-gitee-timestamp", "1754049600124")), invalid,
			"X-Gitee-Timestamp came with different values"},
		{"two pings", giteeRequest(header("x-gitee-ping", "true")), invalid, "X-Gitee-Ping came with different values"},
		{"token with a password", giteeRequest(header("X-Gitee-Token", "hunter2")), invalid,
			"change it to a signature key"},
		{"token in base64 twice",
			giteeRequest(header("X-Gitee-Token", "VWlOelFTZW42U0VDOWc4SzhLcHhGeDJYZ0d4Z3d1M1c5ZE05a3AyOUVBbz0=")),
			invalid, "base64 of base64"},
		{"token in hexadecimal", giteeRequest(header("X-Gitee-Token", strings.Repeat("0a", 32))), invalid,
			"it is hexadecimal"},
		{"token in base64 of hexadecimal", giteeRequest(header("X-Gitee-Token",
			"MGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYQ==")), invalid,
			"base64 of hexadecimal"},
		{"token URL-encoded", giteeRequest(header("X-Gitee-Token", strings.ReplaceAll(giteeToken, "=", "%3D"))),
			invalid, "URL-encoded"},
		{"token URL-decoded", giteeRequest(header("X-Gitee-Token", strings.Replace(giteeToken, "6", " ", 1))), invalid,
			"plus signs"},
		{"no timestamp", giteeRequest(noHeader("X-Gitee-Timestamp")), invalid, "X-Gitee-Timestamp"},
		{"timestamp in seconds", giteeRequest(header("X-Gitee-Timestamp", "1754049600")), invalid, "milliseconds"},
		{"timestamp with a sign", giteeRequest(header("X-Gitee-Timestamp", "+1754049600123")), invalid, "milliseconds"},
		{"negative timestamp", giteeRequest(header("X-Gitee-Timestamp", "-1754049600123")), invalid, "milliseconds"},
		{"timestamp with a leading zero", giteeRequest(header("X-Gitee-Timestamp", "01754049600123")), invalid,
			"milliseconds"},
		{"timestamp beyond int64", giteeRequest(header("X-Gitee-Timestamp", "92233720368547758070")), invalid,
			"milliseconds"},
		{"timestamp in other digits", giteeRequest(header("X-Gitee-Timestamp", "١٧٥٤٠٤٩٦٠٠١٢٣")), invalid,
			"milliseconds"},
		{"timestamp with a newline", giteeRequest(header("X-Gitee-Timestamp", "1754049600123\n")), invalid,
			"milliseconds"},
		{"event with a shell's words", giteeRequest(header("X-Gitee-Event", "$(reboot)")), invalid, "no event's name"},
		{"event too long", githubRequest(header("X-Github-Event", strings.Repeat("a", 65))), invalid,
			"no event's name"},
		{"no signature", githubRequest(noHeader("X-Hub-Signature-256"), noHeader("X-Hub-Signature")), unauth,
			"X-Hub-Signature-256 is missing"},
		{"SHA-1 alone", githubRequest(noHeader("X-Hub-Signature-256")), unauth, "SHA-1"},
		{"sha1 under the newer name", githubRequest(header("X-Hub-Signature-256", "sha1="+strings.Repeat("0", 40))),
			invalid, "does not begin with sha256="},
		{"prefix in capitals",
			githubRequest(header("X-Hub-Signature-256", strings.Replace(githubSignature, "sha", "SHA", 1))), invalid,
			"does not begin with sha256="},
		{"prefix twice", githubRequest(header("X-Hub-Signature-256", "sha256="+githubSignature)), invalid,
			"64 hexadecimal digits"},
		{"prefix alone, as Gitea sends without a secret", githubRequest(header("X-Hub-Signature-256", "sha256=")),
			invalid, "set a secret"},
		{"half a prefix", githubRequest(header("X-Hub-Signature-256", "sha")), invalid, "does not begin"},
		{"signature cut short", githubRequest(header("X-Hub-Signature-256", githubSignature[:len(githubSignature)-2])),
			invalid, "64 hexadecimal digits"},
		// Secret.
		{"no such Secret", giteeRequest(secretRef("absent", "token")), unauth, "is of no use"},
		{"Secret in another namespace", giteeRequest(trigger("namespaces/elsewhere/triggers/a")), unauth,
			"is of no use"},
		{"no right to the Secret", giteeRequest(secretRef("forbidden", "token")), unauth, "is of no use"},
		{"no such key", giteeRequest(secretRef("hook", "nokey")), unauth, "is of no use"},
		{"empty value", giteeRequest(secretRef("hook", "empty")), unauth, "is of no use"},
		{"nothing but a newline", giteeRequest(secretRef("hook", "blank")), unauth, "is of no use"},
		{"short value", giteeRequest(secretRef("hook", "short")), unauth, "is of no use"},
		{"API server away", giteeRequest(secretRef("away", "token")), codes.Unavailable, "could not be read just now"},
		{"panic", giteeRequest(secretRef("panics", "token")), codes.Unavailable, "its log says where"},
		// MAC.
		{"Secret of another namespace's Trigger", giteeRequest(trigger("namespaces/other/triggers/a")), unauth,
			"does not match the Secret"},
		{"secret with two newlines", giteeRequest(secretRef("hook", "two")), unauth, "without blanks or newlines"},
		{"signature of another body", githubRequest(body(strings.TrimSpace(githubBody))), unauth,
			"does not match the Secret"},
		{"body that lost bytes", githubRequest(body("{\"a\":\"\ufffd\"}")), unauth, "U+FFFD"},
		{"ping with a wrong signature", githubRequest(body("x"), header("X-Github-Event", "ping")), unauth,
			"does not match"},
		// Ping.
		{"gitee ping", giteeRequest(header("X-Gitee-Ping", "true")), codes.OK, "ping"},
		{"github ping", githubRequest(header("X-Github-Event", "ping")), codes.OK, "ping"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, seen := observed(nil, nil, interceptor.Default())
			got := send(t, h, tt.req)
			why := seen.last(t)
			if got.Continue || got.Status.Code != tt.code || !strings.Contains(why.Message, tt.want) {
				t.Errorf("got continue %v, code %s, message %q\nwant code %s and %q",
					got.Continue, got.Status.Code, why.Message, tt.code, tt.want)
			}
			if got.Status.Message == why.Message == why.Withheld {
				t.Errorf("withheld is %v, and the caller was told %q", why.Withheld, got.Status.Message)
			}
			for _, private := range []string{secret, "another one entirely", "connection refused", "no RBAC",
				"not found"} {
				if strings.Contains(got.Status.Message, private) {
					t.Errorf("the message %q tells the caller %q", got.Status.Message, private)
				}
			}
		})
	}
}

// TestSecretsCannotBeProbed compares what a caller gets when it names Secrets that are not
// there, or signs wrongly, or is no trigger of the cluster: neither the answer nor its delay
// may tell these apart.
func TestSecretsCannotBeProbed(t *testing.T) {
	absent := noTrigger("absent")
	tests := []struct {
		reason string
		req    *v1beta1.InterceptorRequest
	}{
		{"secret-unusable", githubRequest(secretRef("absent", "token"))},
		{"secret-unusable", githubRequest(secretRef("forbidden", "token"))},
		{"secret-unusable", githubRequest(secretRef("hook", "nokey"))},
		{"secret-unusable", githubRequest(secretRef("hook", "empty"))},
		{"secret-unusable", githubRequest(secretRef("hook", "short"))},
		{"signature-mismatch", githubRequest(body("x"))},
		{"signature-mismatch", githubRequest(body("{\"a\":\"\ufffd\"}"))},
		{"signature-mismatch", githubRequest(secretRef("hook", "two"))},
		{"signature-mismatch", githubRequest(secretRefs("hook/tutorial", "hook/two"))},
		{"caller-unknown", githubRequest(trigger("namespaces/ci/triggers/absent"))},
		{"caller-unknown", githubRequest(trigger("namespaces/ci/triggers/absent"), secretRef("absent", "token"))},
	}
	const want = "the delivery is not verified: the log of deployment/tekgate-interceptor has the reason, with event id \"evt-2\", and `tekgate hook deliveries --refused -n ci` explains it"
	for _, tt := range tests {
		seen := &records{}
		var delays []time.Duration
		h := interceptor.New(interceptor.Default(), interceptor.Options{Callers: absent, Secrets: testSecrets(),
			Log: logr.Discard(), Now: at(signedAt), Observers: []interceptor.Observer{seen},
			After: func(d time.Duration) <-chan time.Time { delays = append(delays, d); return instantly(d) }})
		got := send(t, h, tt.req)
		if got.Continue || got.Status.Message != want || got.Status.Code != codes.Unauthenticated {
			t.Errorf("%s: the caller is told %s: %s", tt.reason, got.Status.Code, got.Status.Message)
		}
		if !slices.Equal(delays, []time.Duration{250 * time.Millisecond}) {
			t.Errorf("%s: the answer was held back for %v", tt.reason, delays)
		}
		if why := seen.last(t); why.Reason != tt.reason || !why.Withheld || why.Message == want {
			t.Errorf("the operator reads %s: %s; want %s", why.Reason, why.Message, tt.reason)
		}
	}
}

// noTrigger is the name of a trigger that the cluster does not have.
type noTrigger string

func (n noTrigger) Check(_ context.Context, triggerID string, _ interceptor.ParamsDigest) error {
	if strings.HasSuffix(triggerID, "/"+string(n)) {
		return interceptor.ErrUnknownCaller
	}
	return nil
}

func TestNotARequest(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"nothing", "", "no InterceptorRequest"},
		{"not JSON", "hello", "no InterceptorRequest"},
		{"a form", "payload=%7B%7D", "no InterceptorRequest"},
		{"an array", "[]", "no InterceptorRequest"},
		{"two documents", "{} {}", "no InterceptorRequest"},
		{"body as an object", `{"body":{"a":1}}`, "no InterceptorRequest"},
		{"headers as words", `{"header":{"X":"y"}}`, "no InterceptorRequest"},
		{"null", "null", "no context"},
		{"a delivery of the forge itself", `{"ref":"refs/heads/master"}`, "no context"},
		{"empty context", `{"context":{}}`, "the trigger id is"},
		{"params as a list", `{"context":{"trigger_id":"namespaces/a/triggers/b"},"interceptor_params":[]}`,
			"reading the params"},
		{"params as null", `{"context":{"trigger_id":"namespaces/a/triggers/b"},"interceptor_params":null}`,
			"provider is missing"},
		{"params twice", `{"context":{"trigger_id":"namespaces/a/triggers/b"},"interceptor_params":{"mode":"sign","mode":"sign"}}`,
			"duplicate field"},
		{"deep", strings.Repeat("[", 20000), "no InterceptorRequest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sendRaw(t, newHandler(signedAt), []byte(tt.raw))
			if got.Continue || got.Status.Code != codes.InvalidArgument ||
				!strings.Contains(got.Status.Message, tt.want) {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
		})
	}
}

func TestSize(t *testing.T) {
	config := interceptor.Default()
	config.MaxBodyBytes = 4096
	h := interceptor.New(config, interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: testSecrets(), Log: logr.Discard(), Now: at(signedAt)})
	raw, err := json.Marshal(giteeRequest())
	if err != nil {
		t.Fatal(err)
	}
	fits := append(raw, bytes.Repeat([]byte(" "), 4096-len(raw))...)
	if got := sendRaw(t, h, fits); !got.Continue {
		t.Errorf("a request of exactly the limit was refused: %s", got.Status.Message)
	}
	got := sendRaw(t, h, append(fits, ' '))
	if got.Continue || !strings.Contains(got.Status.Message, "more than 4096 bytes") {
		t.Errorf("one byte more: got %+v", got)
	}
}

// endless is a body that never ends; only a limit stops reading it.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestHugeBody(t *testing.T) {
	w := httptest.NewRecorder()
	newHandler(signedAt).ServeHTTP(w, httptest.NewRequest(http.MethodPost, interceptor.Path, endless{}))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "maxBodyBytes") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestBrokenOff(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, interceptor.Path, io.MultiReader(strings.NewReader("{"), brokenReader{}))
	newHandler(signedAt).ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "broke off") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestAge(t *testing.T) {
	const window, skew = int64(5 * time.Minute / time.Millisecond), int64(5 * time.Minute / time.Millisecond)
	tests := []struct {
		name   string
		now    int64
		maxAge string
		want   string // "" passes
	}{
		{"at once", signedAt, "", ""},
		{"five minutes later", signedAt + window, "", ""},
		{"a millisecond more", signedAt + window + 1, "",
			"signed 5m0.001s ago by this server's clock, and maxAge is 5m0s"},
		{"five minutes early", signedAt - skew, "", ""},
		{"a millisecond earlier", signedAt - skew - 1, "",
			"signed 5m0.001s ahead of this server's clock, and interceptor.maxSkew is 5m0s"},
		{"a Trigger's own maxAge", signedAt + 1001, "1s", "signed 1.001s ago"},
		{"a longer maxAge, which the configuration limits", signedAt + 2*window, "20m",
			"maxAge is 5m0s: redeliver it"},
		{"clock at the beginning of time", 0, "", "ahead"},
		{"clock far behind", -1 << 40, "", "ahead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := giteeRequest()
			if tt.maxAge != "" {
				param("maxAge", tt.maxAge)(req)
			}
			got := send(t, newHandler(tt.now), req)
			if got.Continue != (tt.want == "") || !strings.Contains(got.Status.Message, tt.want) {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
			if !got.Continue && got.Status.Code != codes.Unauthenticated {
				t.Errorf("got code %s", got.Status.Code)
			}
		})
	}
}

// TestPaths: whatever is not a POST to exactly /verify gets a status that no
// EventListener takes for a verdict, and never a redirect.
func TestPaths(t *testing.T) {
	tests := []struct {
		method, target string
		want           int
	}{
		{"GET", "/verify", 405}, {"HEAD", "/verify", 405}, {"PUT", "/verify", 405}, {"OPTIONS", "/verify", 405},
		{"POST", "/", 404}, {"POST", "//verify", 404}, {"POST", "/verify/", 404}, {"POST", "/verify/.", 404},
		{"POST", "/./verify", 404}, {"POST", "/x/../verify", 404}, {"POST", "/VERIFY", 404}, {"GET", "//verify", 404},
		{"POST", "/verify?x=1", 200},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "https://host"+tt.target, strings.NewReader("{}"))
			w := httptest.NewRecorder()
			newHandler(signedAt).ServeHTTP(w, r)
			if w.Code != tt.want || w.Header().Get("Location") != "" {
				t.Errorf("got %d %v, want %d", w.Code, w.Header(), tt.want)
			}
			if tt.want == 405 && w.Header().Get("Allow") != "POST" {
				t.Errorf("got Allow %q", w.Header().Get("Allow"))
			}
		})
	}
}

// TestLog reads what is logged about events that hold things nobody may log.
func TestLog(t *testing.T) {
	tests := []struct {
		name string
		req  *v1beta1.InterceptorRequest
		want []string
	}{
		{"verified", giteeRequest(), []string{`"provider"="gitee"`, `"eventID"="evt-1"`,
			`"triggerID"="namespaces/ci/triggers/build"`,
			`"continue"=true`, `"reason"="verified"`, `"duration"=`}},
		{"newline", giteeRequest(secretRef("hook", "newline")), []string{"took one newline"}},
		{"mismatch", githubRequest(body("x")), []string{`"continue"=false`, `"reason"="signature-mismatch"`,
			`does not match the Secret \"hook\" with key \"token\" in namespace \"ci\"`}},
		{"missing", giteeRequest(secretRef("absent", "token")), []string{`"reason"="secret-unusable"`, `not found`}},
		{"no key", giteeRequest(secretRef("hook", "nokey")), []string{"has no such key"}},
		{"short", giteeRequest(secretRef("hook", "short")), []string{"minSecretLength, 6 bytes"}},
		{"away", giteeRequest(secretRef("away", "token")), []string{"connection refused"}},
		{"panic", giteeRequest(secretRef("panics", "token")), []string{"panic with string",
			`"reason"="internal-error"`}},
		{"params", giteeRequest(param("mode", "topsecretparam")), []string{`"reason"="params-invalid"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var lines strings.Builder
			log := funcr.New(func(_, args string) { lines.WriteString(args + "\n") }, funcr.Options{})
			send(t, interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
				Secrets: testSecrets(), Log: log,
				Now: at(signedAt)}), tt.req)
			if n := strings.Count(lines.String(), `"verdict"`); n != 1 {
				t.Errorf("got %d lines about the verdict, want 1:\n%s", n, &lines)
			}
			for _, part := range tt.want {
				if !strings.Contains(lines.String(), part) {
					t.Errorf("%s\nlacks %s", &lines, part)
				}
			}
			for _, private := range []string{secret, "12345", giteeToken, githubSignature, "refs/heads",
				"topsecretparam"} {
				if strings.Contains(lines.String(), private) {
					t.Errorf("the log holds %q:\n%s", private, &lines)
				}
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	if err := interceptor.Default().Validate(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
	err := interceptor.Config{MinSecretLength: -1}.Validate()
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, field := range []string{"maxAge", "minSecretLength", "maxBodyBytes", "callers"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q does not name %s", err, field)
		}
	}
	negative := interceptor.Default()
	negative.MaxSkew.Duration = -time.Second
	if err := negative.Validate(); err == nil || !strings.Contains(err.Error(), "maxSkew") {
		t.Errorf("got %v for a negative maxSkew", err)
	}
}

// TestWith changes the configuration of a handler that is in use: what it was goes
// on, and what it becomes holds for what comes.
func TestWith(t *testing.T) {
	before := newHandler(signedAt + 1000)
	strict := interceptor.Default()
	strict.MinSecretLength = len(secret) + 1
	after := before.With(strict)
	small := interceptor.Default()
	small.MaxBodyBytes = 100
	for _, tt := range []struct {
		name string
		h    *interceptor.Handler
		want bool
	}{
		{"before", before, true}, {"a longer secret is asked for", after, false},
		{"and no more", after.With(interceptor.Default()), true},
		{"the body is too large", before.With(small), false}, {"the first one still", before, true},
	} {
		if got := send(t, tt.h, giteeRequest()); got.Continue != tt.want {
			t.Errorf("%s: got %+v, want continue %v", tt.name, got, tt.want)
		}
	}
}

// TestSilentBodies opens connections that announce bodies, with a length and without one, and
// send nothing more. No other event waits for them.
func TestSilentBodies(t *testing.T) {
	s := tlsServer(t, newHandler(signedAt))
	for i := range 20 {
		length := "Content-Length: 33554432"
		if i%2 == 1 {
			length = "Transfer-Encoding: chunked"
		}
		conn, err := tls.Dial("tcp", s.Listener.Addr().String(), s.Client().Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /verify HTTP/1.1\r\nHost: example.com\r\n%s\r\n\r\n", length)
	}
	time.Sleep(100 * time.Millisecond) // until they are being read
	if got, err := call(s, giteeRequest()); err != nil || !got.Continue {
		t.Errorf("beside bodies that do not arrive: got %+v, error %v", got, err)
	}
}

// TestBusy sends an event of half of the budget while one as large is being judged, and a
// small event: the first is refused once it has waited, the other is judged.
func TestBusy(t *testing.T) {
	config := interceptor.Default()
	config.MaxBodyBytes = 1 << 20
	secrets := &slowSecrets{asked: make(chan struct{}), goOn: make(chan struct{})}
	h := interceptor.New(config, interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: secrets, Log: logr.Discard(), Now: at(signedAt)})
	padded := func(size int) []byte {
		raw, err := json.Marshal(giteeRequest())
		if err != nil {
			t.Fatal(err)
		}
		return append(raw, bytes.Repeat([]byte(" "), size)...)
	}
	done := make(chan bool)
	go func() { done <- sendRaw(t, h, padded(700_000)).Continue }()
	<-secrets.asked
	if got := sendRaw(t, h, padded(700_000)); got.Status.Code != codes.Unavailable ||
		!strings.Contains(got.Status.Message, "busy") {
		t.Errorf("while the memory for large events is held: got %+v", got)
	}
	go func() { done <- sendRaw(t, h, padded(10_000)).Continue }()
	<-secrets.asked
	close(secrets.goOn)
	for range 2 {
		if !<-done {
			t.Error("an event that fits was refused")
		}
	}
}

// slowSecrets answers once it may, and says when it is asked.
type slowSecrets struct{ asked, goOn chan struct{} }

func (s *slowSecrets) Get(ctx context.Context, namespace, name string) (*interceptor.Secret, error) {
	s.asked <- struct{}{}
	<-s.goOn
	return testSecrets().Get(ctx, namespace, name)
}
