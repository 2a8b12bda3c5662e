package admit_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/admit"
)

// rule answers by the name of the object.
func rule(ctx context.Context, req admission.Request) admission.Response {
	switch req.Name {
	case "denied":
		return admission.Denied("no")
	case "patched":
		return admission.Patched("", jsonpatch.NewOperation("add", "/a", 1))
	case "unencodable":
		return admission.Patched("", jsonpatch.NewOperation("add", "/a", func() {}))
	case "panic":
		panic("secret " + string(req.Object.Raw))
	case "raw":
		return admission.Denied(string(req.Object.Raw))
	case "deadline":
		until, _ := ctx.Deadline()
		return admission.Denied(time.Until(until).Round(time.Second).String())
	}
	return admission.Allowed("")
}

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(&admit.Webhook{Handler: admission.HandlerFunc(rule)})
	t.Cleanup(server.Close)
	return server
}

func review(request string) string {
	return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":` + request + `}`
}

// A fault of ours is no denial: the call fails, and failurePolicy decides.
func TestFault(t *testing.T) {
	server := serve(t)
	for name, message := range map[string]string{
		"panic":       "internal error while judging this TaskRun",
		"unencodable": "internal error: the patch for this TaskRun could not be encoded",
	} {
		status, body := post(t, server.URL, review(
			`{"uid":"u","name":"`+name+`","kind":{"kind":"TaskRun"},"object":{"password":"p"}}`))
		if status != http.StatusInternalServerError || !strings.Contains(body, message) {
			t.Errorf("%s: got %d %s", name, status, body)
		}
		if strings.Contains(body, "goroutine") || strings.Contains(body, "password") ||
			strings.Contains(body, "AdmissionReview") {
			t.Errorf("%s: the answer tells too much: %s", name, body)
		}
	}
}

func TestReview(t *testing.T) {
	server := serve(t)
	tests := []struct {
		name, request, query string
		allowed              bool
		code                 int32
		message              string
	}{
		{name: "allowed", request: `{"uid":"u"}`, allowed: true, code: 200},
		{name: "denied", request: `{"uid":"u","name":"denied"}`, code: 403, message: "no"},
		{name: "bytes as sent", request: `{"uid":"u","name":"raw","object":{"b": 1.0, "a":9007199254740993}}`,
			code: 403, message: `{"b": 1.0, "a":9007199254740993}`},
		{name: "null object", request: `{"uid":"u","name":"raw","object":null}`, code: 403},
		{name: "unknown fields", request: `{"uid":"u","ofTomorrow":{}}`, allowed: true, code: 200},
		{name: "the sender's patience", query: "?timeout=2s", request: `{"uid":"u","name":"deadline"}`, code: 403,
			message: "2s"},
		{name: "no word of patience", request: `{"uid":"u","name":"deadline"}`, code: 403, message: "10s"},
		{name: "absurd patience", query: "?timeout=9000h", request: `{"uid":"u","name":"deadline"}`, code: 403,
			message: "10s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := post(t, server.URL+tt.query, review(tt.request))
			res := response(t, status, body)
			if res.UID != "u" || res.Allowed != tt.allowed || res.Result.Code != tt.code ||
				!strings.Contains(res.Result.Message, tt.message) {
				t.Errorf("got %s", body)
			}
			if strings.Contains(body, "goroutine") || strings.Contains(body, "secret") {
				t.Errorf("the answer tells too much: %s", body)
			}
			if res.Patch != nil || res.PatchType != nil {
				t.Errorf("there is a patch: %s", body)
			}
		})
	}
}

func TestPatch(t *testing.T) {
	status, body := post(t, serve(t).URL, review(`{"uid":"u","name":"patched"}`))
	res := response(t, status, body)
	if string(res.Patch) != `[{"op":"add","path":"/a","value":1}]` || res.PatchType == nil ||
		*res.PatchType != admissionv1.PatchTypeJSONPatch {
		t.Errorf("got %s", body)
	}
}

func TestNotAReview(t *testing.T) {
	server := serve(t)
	tests := []struct {
		name, body string
		inProtocol bool // whether the answer is a review
		want       string
	}{
		{"empty", "", false, "not an AdmissionReview: it is not JSON"},
		{"garbage", "\x00\xff{", false, "not JSON from byte 1 on"},
		{"null", "null", false, `a "" of ""`},
		{"list", "[]", false, "not an AdmissionReview"},
		{"no request", review("null"), false, "no request.uid"},
		{"no uid", review("{}"), false, "no request.uid"},
		{"mistyped uid", review(`{"uid":7}`), false, `field "request.uid" is a JSON number`},
		{"other kind", `{"apiVersion":"v1","kind":"Pod"}`, false, `a "Pod" of "v1"`},
		{"old version", `{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u"}}`,
			true, "admissionReviewVersions"},
		{"mistyped after uid", review(`{"uid":"u","dryRun":"yes"}`), true, `field "request.dryRun" is a JSON string`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := post(t, server.URL, tt.body)
			if !tt.inProtocol {
				if status != http.StatusBadRequest || !strings.Contains(body, tt.want) {
					t.Errorf("got %d %s, want 400 with %q", status, body, tt.want)
				}
				return
			}
			res := response(t, status, body)
			if res.UID != "u" || res.Allowed || res.Result.Code != 400 ||
				!strings.Contains(res.Result.Message, tt.want) {
				t.Errorf("got %s", body)
			}
		})
	}
}

func TestNotAPost(t *testing.T) {
	server := serve(t)
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "POST" {
		t.Errorf("got %s with Allow %q", res.Status, res.Header.Get("Allow"))
	}
}

func TestContentType(t *testing.T) {
	server := serve(t)
	for contentType, want := range map[string]int{
		"application/json":                200,
		"application/json; charset=utf-8": 200,
		"text/plain":                      415,
		"":                                415,
	} {
		res, err := http.Post(server.URL, contentType, strings.NewReader(review(`{"uid":"u"}`)))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%q gives %s, want %d", contentType, res.Status, want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	status, body := post(t, serve(t).URL, review(`{"uid":"u","name":"`+strings.Repeat("x", 7<<20)+`"}`))
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "larger than 7340032 bytes") {
		t.Errorf("got %d %s", status, body)
	}
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

func response(t *testing.T, status int, body string) admissionv1.AdmissionResponse {
	t.Helper()
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || got.Response == nil {
		t.Fatalf("got %d %s, error %v", status, body, err)
	}
	if got.APIVersion != "admission.k8s.io/v1" || got.Kind != "AdmissionReview" {
		t.Errorf("the answer is a %q of %q", got.Kind, got.APIVersion)
	}
	return *got.Response
}
