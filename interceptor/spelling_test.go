package interceptor_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/go-logr/logr"

	"github.com/tekgate/tekgate/interceptor"
)

// giteeSpellings are the names of Gitee's events as extensions have them, and the
// two ways that its headers spell them: gitee.com has sent both.
var giteeSpellings = []struct{ event, words, underlined string }{
	{"push", "Push Hook", "push_hooks"},
	{"tag_push", "Tag Push Hook", "tag_push_hooks"},
	{"merge_request", "Merge Request Hook", "merge_request_hooks"},
	{"issue", "Issue Hook", "issue_hooks"},
	{"note", "Note Hook", "note_hooks"},
	{"pipeline", "Pipeline Hook", "pipeline_hooks"},
}

// TestGiteeSpellings holds that a Trigger which was written for one spelling goes on
// to work when Gitee sends the other one.
func TestGiteeSpellings(t *testing.T) {
	for _, s := range giteeSpellings {
		for _, sent := range []string{s.words, s.underlined} {
			for _, wanted := range []string{s.event, s.words, s.underlined} {
				t.Run(fmt.Sprintf("%s for %s", sent, wanted), func(t *testing.T) {
					h, seen := observed(nil, nil, interceptor.Default())
					both := []edit{header("X-Gitee-Event", sent), header("X-Git-Oschina-Event", sent)}
					if s.event == "push" {
						wanted += ":updated" // an action may follow, whatever the spelling
					}
					got := send(t, h, giteeRequest(append(both,
						body(`{"ref":"refs/heads/master","before":"1","after":"2"}`),
						param("eventTypes", []string{wanted}))...))
					if !got.Continue || seen.last(t).Event != s.event {
						t.Fatalf("event %q: got %+v", seen.last(t).Event, got)
					}
					if git := got.Extensions["git"].(map[string]any); git["event"] != s.event {
						t.Errorf("the extension says %v", git["event"])
					}
					other := giteeRequest(append(both, param("eventTypes", []string{"push_" + s.event}))...)
					if got := send(t, h, other); got.Continue || seen.last(t).Reason != "filtered" {
						t.Errorf("another event is wanted: got %+v", got)
					}
				})
			}
		}
	}
}

// TestGiteeCapturedHeaders takes the headers of a delivery in the newer spelling,
// which lie beside the repository. What signed them is not known: so they are
// refused for that alone, and pass once another secret has signed the same time.
func TestGiteeCapturedHeaders(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "webhooks", "gitee-unsigned",
		"headers_new_style_event_names.json"))
	if err != nil {
		t.Skip("the captured headers are not here; TestGiteeSpellings covers the spelling")
	}
	var caught struct{ Headers map[string][]string }
	if err := json.Unmarshal(raw, &caught); err != nil || len(caught.Headers["X-Gitee-Event"]) != 1 {
		t.Fatalf("got %s, error %v", raw, err)
	}
	ms, err := strconv.ParseInt(caught.Headers["X-Gitee-Timestamp"][0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var headers []edit
	for name, values := range caught.Headers {
		headers = append(headers, header(name, values...))
	}
	signed := header("X-Gitee-Token", giteeTokenAt(ms))
	for _, tt := range []struct {
		name, reason string
		edits        []edit
	}{
		{"as it was sent", "signature-mismatch", nil},
		{"signed", "ping", []edit{signed}}, // the delivery of the test button
		{"signed, and no ping", "verified", []edit{signed, header("X-Gitee-Ping", "false")}},
		{"signed, and another event is wanted", "filtered", []edit{signed, header("X-Gitee-Ping", "false"),
			param("eventTypes", []string{"Note Hook"})}},
	} {
		seen := &records{}
		h := interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
			Secrets:   testSecrets(),
			Observers: []interceptor.Observer{seen}, Log: logr.Discard(), Now: at(ms + 1000)})
		got := send(t, h, giteeRequest(append(headers[:len(headers):len(headers)], tt.edits...)...))
		if rec := seen.last(t); rec.Reason != tt.reason || rec.Event != "push" ||
			got.Continue != (tt.reason == "verified") {
			t.Errorf("%s: got reason %s, event %q, %+v", tt.name, rec.Reason, rec.Event, got)
		}
	}
}

// giteeTokenAt is written down here a second time on purpose.
func giteeTokenAt(ms int64) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d\n%s", ms, secret)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
