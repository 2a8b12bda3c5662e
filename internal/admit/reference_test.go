package admit

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/scan"
)

// usual is a review as API servers write it, with every field that they know.
const usual = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab4f5","kind":{"group":"tekton.dev","version":"v1","kind":"TaskRun"},
"resource":{"group":"tekton.dev","version":"v1","resource":"taskruns"},"subResource":"status","requestKind":{"group":"tekton.dev","version":"v1beta1","kind":"TaskRun"},
"requestResource":{"group":"tekton.dev","version":"v1beta1","resource":"taskruns"},"requestSubResource":"status","name":"a","namespace":"ci","operation":"UPDATE",
"userInfo":{"username":"u\u0073er é","uid":"1","groups":["a","b"],"extra":{"authentication.kubernetes.io/pod-name":["p","q"]}},
"object":{"a": 1.0,"a":{"\ud83d":[]}}, "oldObject" : {"b":null} ,"dryRun":true,"options":{"kind":"UpdateOptions"}}}`

// unusual are reviews that encoding/json may take for the same and the scanner need
// not read at all.
var unusual = []string{
	``, `null`, `[]`, `{}`, `{"request":null}`, `{"request":{}}`, `{"request":[]}`, `{"Request":{"uid":"u"}}`,
	`{"request":{"UID":"u","uid":"v"}}`,
	`{"request":{"uid":"u","ofTomorrow":{}}}`, `{"request":{"uid":"u","uid":"v"}}`,
	`{"request":{"uid":"u","uid":null}}`, `{"request":{"uid":null}}`,
	`{"request":{"uid":"u"},"request":{"name":"n"}}`, `{"request":{"uid":"u"},"request":null}`,
	`{"request":null,"request":{"uid":"u"}}`,
	`{"request":{"object":{"a":1},"object":null}}`, `{"request":{"object":null,"object":[1]}}`,
	`{"request":{"object":"x","object": 7 }}`,
	`{"request":{"dryRun":true,"dryRun":null}}`, `{"request":{"dryRun":null,"dryRun":false}}`,
	`{"request":{"dryRun":"yes"}}`, `{"request":{"dryRun":tru}}`,
	`{"request":{"kind":{"group":"a"},"kind":{"kind":"b"}}}`, `{"request":{"kind":null}}`,
	`{"request":{"kind":{"Kind":"a"}}}`, `{"request":{"kind":"a"}}`,
	`{"request":{"requestKind":{"group":"a"},"requestKind":{"kind":"b"}}}`,
	`{"request":{"requestKind":{"group":"a"},"requestKind":null}}`,
	`{"request":{"userInfo":{"groups":["a"],"groups":[null]}}}`, `{"request":{"userInfo":{"groups":[null,"a"]}}}`,
	`{"request":{"userInfo":{"groups":null,"groups":[]}}}`,
	`{"request":{"userInfo":{"groups":[]},"userInfo":{"groups":["a"]}}}`, `{"request":{"userInfo":{"groups":[7]}}}`,
	`{"request":{"userInfo":null}}`,
	`{"request":{"userInfo":{"extra":{"a":["b"],"a":null,"c":[]}}}}`,
	`{"request":{"userInfo":{"extra":{"a":["b"]},"extra":{"c":["d"]}}}}`, `{"request":{"userInfo":{"extra":null}}}`,
	`{"request":{"u\u0069d":"u","n\u0061me":"\ud83d\ude00\ud83d"}}`, "{\"request\":{\"uid\":\"\xff\",\"\xff\":1}}",
	`{"\u212Aind":"AdmissionReview"}`, "{\"request\":{\"\u017fubResource\":\"x\"}}",
	`{"response":{"uid":"u"}}`, `{"kind":7}`, `{"kind":null,"apiVersion":"v1"}`, `{"kind":"a","kind":"b"} {}`,
	`{"request":{"object":{"a":}}}`, `{"request":{"object":{}}`,
	`{"request":{"object":` + strings.Repeat("[", 9998) + strings.Repeat("]", 9998) + `}}`,
	`{"request":{"object":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}}`,
}

// agree holds the scanner to what encoding/json makes of a body.
func agree(t *testing.T, body []byte) bool {
	t.Helper()
	got, ok := scanReview(scan.New(body))
	if !ok {
		return false
	}
	var want admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &want); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%.300q: got %+v, want %+v, %v", body, got, want, err)
	}
	return true
}

func TestScanReview(t *testing.T) {
	if !agree(t, []byte(usual)) {
		t.Error("the usual review is not read")
	}
	for _, body := range unusual {
		agree(t, []byte(body))
	}
	for i := range usual { // cut and changed at each byte
		agree(t, []byte(usual[:i]))
		for _, c := range []string{"\x00", `"`, `\`, "}", "u", "\xff", "0", ",", " ", "null", "K"} {
			agree(t, []byte(usual[:i]+c+usual[i+1:]))
		}
	}
}

// TestBorrowed holds that who appends to an object leaves the next one alone.
func TestBorrowed(t *testing.T) {
	review, _ := scanReview(scan.New([]byte(usual)))
	_ = append(review.Request.Object.Raw, "xxxxxxxxxxxxxxxx"...)
	if string(review.Request.OldObject.Raw) != `{"b":null}` {
		t.Errorf("the old object became %s", review.Request.OldObject.Raw)
	}
}

func FuzzScanReview(f *testing.F) {
	f.Add([]byte(usual))
	for _, body := range unusual {
		if len(body) < 1000 {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, body) })
}

// responses are what handlers answer.
func responses() []admission.Response {
	operation := jsonpatch.NewOperation
	all := []admission.Response{
		{}, admission.Allowed(""), admission.Allowed("why"), admission.Denied("no\n\u2028<é>"),
		admission.Errored(http.StatusBadRequest, errors.New("bad")),
		admission.PatchResponseFromRaw([]byte(`{"a":1}`), []byte(`{"a":2,"b":{"c":[1.10,null,true,"x"]}}`)),
		admission.Allowed("").WithWarnings("one", "two \xff\x00\x7f\""),
		admission.Patched("", operation("add", "/a~1b/-", map[string]any{
			"z": []any{}, "a": map[string]any{}, "é\"": []any{nil, true, json.Number("1.10"), "", 7},
		}), operation("remove", "/c", nil), operation("replace", "/d", nil), operation("add", "/e", ""),
			operation("test", "/f", nil), operation("add", "/g", 1.5)),
		admission.Patched("", operation("add", "/a", []any(nil)), operation("add", "/b", map[string]any(nil)),
			operation("add", "/c", []string{"x"})),
		{Patches: []jsonpatch.Operation{}, AdmissionResponse: admissionv1.AdmissionResponse{Patch: []byte("[]")}},
		{AdmissionResponse: admissionv1.AdmissionResponse{
			AuditAnnotations: map[string]string{"b": "1", "a": "2"}, Result: &metav1.Status{Code: 200, Reason: "r"},
		}},
		{AdmissionResponse: admissionv1.AdmissionResponse{AuditAnnotations: map[string]string{}, Warnings: []string{}}},
	}
	return append(all, admission.Patched("", operation("add", "/a", func() {})),
		admission.Patched("", operation("add", "/a", []any{map[string]any{"b": func() {}}})))
}

// TestAnswer compares answers with those that controller-runtime and encoding/json
// give.
func TestAnswer(t *testing.T) {
	var buffer answers
	for i, res := range responses() {
		got, err := buffer.answer("u\"1", res)
		completed := res.Complete(admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{UID: "u\"1"}})
		if (err == nil) != (completed == nil) {
			t.Errorf("%d: error %v, want %v", i, err, completed)
		}
		if err != nil {
			continue
		}
		want, err := json.Marshal(admissionv1.AdmissionReview{
			TypeMeta: metav1.TypeMeta{Kind: "AdmissionReview", APIVersion: "admission.k8s.io/v1"},
			Response: &res.AdmissionResponse,
		})
		if err != nil {
			t.Fatal(err)
		}
		if g, w := readable(t, got), readable(t, want); !reflect.DeepEqual(g, w) {
			t.Errorf("%d: got\n%v\nwant\n%v", i, g, w)
		}
	}
}

// readable decodes an answer, and the patch in it.
func readable(t *testing.T, answer []byte) []any {
	t.Helper()
	var tree, patch any
	var review admissionv1.AdmissionReview
	if err := errors.Join(json.Unmarshal(answer, &tree), json.Unmarshal(answer, &review)); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if raw := review.Response.Patch; raw != nil {
		if err := json.Unmarshal(raw, &patch); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	response := tree.(map[string]any)["response"].(map[string]any)
	delete(response, "patch") // whose bytes may be escaped in another way
	return []any{tree, patch}
}
