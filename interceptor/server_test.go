package interceptor_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor"
)

// tlsServer serves h as the real server does: TLS and HTTP/1.1.
func tlsServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

// call does what an EventListener does: it posts Tekton's type as JSON, follows
// redirects, takes 200 alone for an answer and decodes it into Tekton's type.
func call(s *httptest.Server, req *v1beta1.InterceptorRequest) (*v1beta1.InterceptorResponse, error) {
	raw, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	r, err := s.Client().Post(s.URL+interceptor.Path, "application/json", bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("got status %s", r.Status)
	}
	got := &v1beta1.InterceptorResponse{}
	return got, json.NewDecoder(r.Body).Decode(got)
}

// TestThroughTLS calls the interceptor with Tekton's types over a real listener.
func TestThroughTLS(t *testing.T) {
	s := tlsServer(t, newHandler(signedAt))
	tests := []struct {
		name string
		edit edit
		pass bool
		code codes.Code
	}{
		{"right", func(*v1beta1.InterceptorRequest) {}, true, codes.OK},
		{"wrong secret", secretRef("hook", "tutorial"), false, codes.Unauthenticated},
		{"no secret", noParam("secretRef"), false, codes.InvalidArgument},
		{"ping", header("X-Gitee-Ping", "true"), false, codes.OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := call(s, giteeRequest(tt.edit))
			if err != nil {
				t.Fatal(err)
			}
			if got.Continue != tt.pass || got.Status.Code != tt.code {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestWire posts bytes as an EventListener puts them on the wire: the body as a
// string with < and & escaped, a header key that is not canonical, and the
// answer read back field by field.
func TestWire(t *testing.T) {
	s := tlsServer(t, newHandler(signedAt))
	wire := `{"body":"{\"a\":\"\u003c\u0026\u003e\\u00e9 中\"}\n",` +
		`"header":{"Content-Type":["application/json"],"X-Github-Event":["push"],"x-hub-signature-256":["` +
		githubSignature + `"],"x-RAW-case":["a","b"]},` +
		`"extensions":{"earlier":{"n":12345678901234567890}},` +
		`"interceptor_params":{"provider":"github","secretRef":{"secretName":"hook","secretKey":"token"}},` +
		`"context":{"event_url":"/hook?x=1","event_id":"evt-1","trigger_id":"namespaces/ci/triggers/t1"}}`
	r, err := s.Client().Post(s.URL+interceptor.Path, "application/json", strings.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"extensions":{"git":{"provider":"github","event":"push","action":"","ref":"","refType":"","branch":"","tag":"","sha":"","before":"","deleted":"false","forced":"unknown",` +
		`"repository":"","cloneURL":"","sshURL":"","defaultBranch":"","pullRequest":"0","merged":"unknown","draft":"unknown","fromFork":"unknown","sourceBranch":"","targetBranch":"","sender":"",` +
		`"changedFiles":"","changedFilesComplete":"false","deliveryID":"","verified":"body","verifiedBy":"hook/token"}},"continue":true,"status":{}}`
	if r.StatusCode != http.StatusOK || r.Proto != "HTTP/1.1" || string(answer) != want {
		t.Errorf("got %d %s %s, want %s", r.StatusCode, r.Proto, answer, want)
	}
}

// TestLatin1 shows what becomes of a body that is not UTF-8: its bytes are gone
// when it arrives, and the refusal says so.
func TestLatin1(t *testing.T) {
	h, seen := observed(nil, nil, interceptor.Default())
	s := tlsServer(t, h)
	got, err := call(s, githubRequest(body("{\"a\":\"\xe9\"}")))
	if err != nil {
		t.Fatal(err)
	}
	if why := seen.last(t).Message; got.Continue || !strings.Contains(why, "application/json") {
		t.Errorf("got %+v, for %q", got, why)
	}
}

// TestNoRedirect follows what a client that follows redirects gets for a path
// that Go's ServeMux would have cleaned.
func TestNoRedirect(t *testing.T) {
	s := tlsServer(t, newHandler(signedAt))
	raw, err := json.Marshal(giteeRequest())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"//verify", "/verify/", "/a/../verify"} {
		r, err := s.Client().Post(s.URL+path, "application/json", bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusNotFound || r.Request.Method != http.MethodPost {
			t.Errorf("%s: got %d to a %s", path, r.StatusCode, r.Request.Method)
		}
	}
}

func TestParallel(t *testing.T) {
	s := tlsServer(t, newHandler(signedAt))
	errs := make(chan error, 64)
	for i := range cap(errs) {
		go func() {
			req, want := giteeRequest(), true
			if i%2 == 1 {
				req, want = githubRequest(body("x")), false
			}
			got, err := call(s, req)
			if err == nil && got.Continue != want {
				err = fmt.Errorf("request %d: got %+v", i, got)
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
