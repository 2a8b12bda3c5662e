package baseline

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An API server accepts only an answer with the uid of its request.
func TestNull(t *testing.T) {
	const patched = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",` +
		`"response":{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"W10="}}`
	const request = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":` +
		`{"uid":"of-the-request","kind":{},"object":{"metadata":{"uid":"of-the-object"}}}}`
	for answer, patch := range map[string]string{Nothing: "", patched: "[]"} {
		recorder := httptest.NewRecorder()
		Null([]byte(answer)).ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(request)))
		var review struct {
			Response struct {
				UID     string
				Allowed bool
				Patch   []byte
			}
		}
		err := json.Unmarshal(recorder.Body.Bytes(), &review)
		if r := review.Response; err != nil || !r.Allowed || string(r.Patch) != patch || r.UID != "of-the-request" {
			t.Errorf("with %s it answers %s, error %v", answer, recorder.Body, err)
		}
	}
	recorder := httptest.NewRecorder()
	Null([]byte(Nothing)).ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}")))
	if recorder.Code != http.StatusBadRequest {
		t.Errorf("a body that is not a review is answered with %d", recorder.Code)
	}
}

// The uid of a review's request comes before that of its object, as an API server sends it.
func TestReview(t *testing.T) {
	review, err := ReviewOf(map[string]any{"metadata": map[string]any{"uid": "of-the-object"}},
		metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, "pods")
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(review)))
	Null([]byte(Nothing)).ServeHTTP(recorder, request)
	if recorder.Body.String() != Nothing {
		t.Errorf("the answer is %s, want %s", recorder.Body, Nothing)
	}
}
