package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/admit"
)

// FuzzAdmission posts any bytes to the mutating handler, as an API server would a
// review: no panic, which would be answered with 500, and no answer that an API
// server could not use.
func FuzzAdmission(f *testing.F) {
	for _, body := range fuzzReviews(f) {
		f.Add(body)
	}
	handler := &admit.Webhook{Handler: everyRule()}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/mutate?timeout=3s", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch {
		case w.Code == http.StatusOK:
			checkAnswer(t, body, w.Body.Bytes())
		case w.Code >= http.StatusInternalServerError:
			t.Errorf("%q gives %d: %s", body, w.Code, w.Body)
		}
	})
}

// checkAnswer holds an answer to what an API server demands of one.
func checkAnswer(t *testing.T, body, answer []byte) {
	t.Helper()
	var asked, answered admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &answered); err != nil || answered.Response == nil {
		t.Fatalf("%s is no review: %v", answer, err)
	}
	if json.Unmarshal(body, &asked) != nil || asked.Request == nil {
		return // told so, as far as its uid could be read
	}
	res := answered.Response
	if res.UID != asked.Request.UID || (res.PatchType != nil) != (len(res.Patch) > 0) {
		t.Errorf("uid %q for %q, patch type %v with %q", res.UID, asked.Request.UID, res.PatchType, res.Patch)
	}
	// The API server sends valid UTF-8; the two libraries disagree about the rest.
	if len(res.Patch) == 0 || !utf8.Valid(body) {
		return
	}
	patch, err := jsonpatch.DecodePatch(res.Patch)
	if err != nil {
		t.Fatalf("%s is no patch: %v", res.Patch, err)
	}
	if _, err := patch.Apply(asked.Request.Object.Raw); err != nil {
		t.Errorf("the patch %s does not apply to %s: %v", res.Patch, asked.Request.Object.Raw, err)
	}
}

// fuzzReviews wraps each case of the mutator's rules in a review.
func fuzzReviews(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("../../mutator/testdata/*/*/input.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases, error %v", err)
	}
	bodies := [][]byte{{}, []byte("null"), []byte(`{"request":{"uid":"u"}}`)}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := yaml.YAMLToJSON(text)
		if err != nil {
			f.Fatal(err)
		}
		var meta struct{ APIVersion, Kind string }
		if err := json.Unmarshal(raw, &meta); err != nil {
			f.Fatal(err)
		}
		group, version, _ := strings.Cut(meta.APIVersion, "/")
		if version == "" {
			group, version = "", group
		}
		body, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
			"request": map[string]any{
				"uid": "u", "operation": "CREATE", "namespace": "ci", "object": json.RawMessage(raw), "dryRun": true,
				"userInfo": map[string]any{
					"username": "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller",
				},
				"kind": map[string]any{"group": group, "version": version, "kind": meta.Kind},
			}})
		if err != nil {
			f.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}
