package deliveries_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
)

var epoch = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func record(trigger string, second int, edit ...func(*interceptor.Record)) interceptor.Record {
	r := interceptor.Record{
		Time: epoch.Add(time.Duration(second) * time.Second), Duration: 1500 * time.Microsecond,
		TriggerID: "namespaces/ci/triggers/" + trigger, EventID: fmt.Sprint("event-", second), Provider: "github",
		Event:  "push",
		Reason: "signature-mismatch", Message: "the signature does not match",
	}
	for _, e := range edit {
		e(&r)
	}
	return r
}

func log(perTrigger, triggers int) *deliveries.Log {
	return deliveries.New(deliveries.Options{Replica: "pod-1", PerTrigger: perTrigger, Triggers: triggers})
}

func ids(list []deliveries.Delivery) string {
	var all []string
	for _, d := range list {
		all = append(all, d.Trigger+":"+strings.TrimPrefix(d.EventID, "event-"))
	}
	return strings.Join(all, " ")
}

func TestRing(t *testing.T) {
	l := log(3, 10)
	for i := range 7 {
		l.Observe(record("a", i))
	}
	l.Observe(record("b", 2))
	if got, want := ids(l.List(deliveries.Filter{})), "a:6 a:5 a:4 b:2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSetBounds changes the bounds of a log that has turned over.
func TestSetBounds(t *testing.T) {
	l := log(3, 10)
	l.Observe(record("old", 0))
	for i := range 8 {
		l.Observe(record("a", i))
	}
	for _, tt := range []struct {
		perTrigger, triggers int
		more                 []int
		want                 string
	}{
		{5, 10, []int{8, 9}, "a:9 a:8 a:7 a:6 a:5 old:0"},
		{5, 10, []int{10}, "a:10 a:9 a:8 a:7 a:6 old:0"},
		{2, 1, nil, "a:10 a:9"},
		{2, 1, []int{11, 12, 13}, "a:13 a:12"},
		{4, 1, []int{14}, "a:14 a:13 a:12"},
	} {
		l.SetBounds(tt.perTrigger, tt.triggers)
		for _, i := range tt.more {
			l.Observe(record("a", i))
		}
		if got := ids(l.List(deliveries.Filter{})); got != tt.want {
			t.Errorf("%d of each of %d: got %s, want %s", tt.perTrigger, tt.triggers, got, tt.want)
		}
	}
}

func TestTriggersAreBounded(t *testing.T) {
	l := log(5, 3)
	l.Observe(record("real", 0, func(r *interceptor.Record) {
		r.Verified, r.Continue, r.Reason = true, true,
			"verified"
	}))
	for i := range 1000 {
		l.Observe(record(fmt.Sprint("made-up-", i), i+1))
	}
	list := l.List(deliveries.Filter{})
	if len(list) != 3 || len(l.List(deliveries.Filter{Trigger: "real"})) != 1 {
		t.Errorf("got %s: made-up names must not push out a trigger that had a verified event", ids(list))
	}
}

func TestFilter(t *testing.T) {
	l := log(10, 10)
	l.Observe(record("a", 1))
	l.Observe(record("a", 2, func(r *interceptor.Record) { r.Continue, r.Reason = true, "verified" }))
	l.Observe(record("", 3, func(r *interceptor.Record) { r.TriggerID = "namespaces/qa/triggerGroups/g" }))
	tests := []struct {
		filter deliveries.Filter
		want   string
	}{
		{deliveries.Filter{}, "group/g:3 a:2 a:1"},
		{deliveries.Filter{Namespace: "ci"}, "a:2 a:1"},
		{deliveries.Filter{Trigger: "group/g"}, "group/g:3"},
		{deliveries.Filter{Reason: "verified"}, "a:2"},
		{deliveries.Filter{EventID: "event-1"}, "a:1"},
		{deliveries.Filter{Refused: true}, "group/g:3 a:1"},
		{deliveries.Filter{Limit: 1}, "group/g:3"},
	}
	server := httptest.NewServer(deliveries.Handler(l.Source))
	defer server.Close()
	for _, tt := range tests {
		if got := ids(l.List(tt.filter)); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.filter, got, tt.want)
		}
		_, text := get(t, server.URL+deliveries.JSONPath+"?"+tt.filter.Values().Encode())
		var list []deliveries.Delivery
		if err := json.Unmarshal([]byte(text), &list); err != nil || ids(list) != tt.want {
			t.Errorf("%+v: over HTTP got %s, error %v; want %s", tt.filter, text, err, tt.want)
		}
	}
}

// Whatever is in a record, its shape is what the page and the JSON promise.
func TestFields(t *testing.T) {
	l := log(1, 1)
	l.Observe(record("a", 1, func(r *interceptor.Record) {
		r.Verified, r.Signed, r.Skew = true, true, 90*time.Second
		r.Matched = interceptor.SecretKey{Name: "hook", Key: "token"}
		r.Cause = errors.New("because")
		r.Repository, r.Ref, r.SHA, r.Sender = "team/app", "refs/heads/main", "abc", "alice"
		r.DeliveryID, r.Replay = "guid", interceptor.ReplayFirst
	}))
	text, err := json.Marshal(l.List(deliveries.Filter{})[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"replica":"pod-1","number":1,"time":"2026-08-01T12:00:01Z","milliseconds":1.5,"namespace":"ci","trigger":"a","eventID":"event-1",` +
		`"provider":"github","event":"push","repository":"team/app","ref":"refs/heads/main","sha":"abc","sender":"alice","deliveryID":"guid","continue":false,` +
		`"reason":"signature-mismatch","message":"the signature does not match","cause":"because","verified":true,"secret":"hook/token","skewMilliseconds":90000,"replay":"first"}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

func TestPage(t *testing.T) {
	evil := `"><script>alert(1)</script>`
	l := log(10, 10)
	l.Observe(record("a", 1, func(r *interceptor.Record) {
		r.Event, r.Repository, r.Message, r.Ref = evil, evil, evil, evil
		r.Cause = errors.New(evil)
		r.TriggerID = "namespaces/ci/triggers/" + evil
	}))
	server := httptest.NewServer(deliveries.Handler(l.Source))
	defer server.Close()
	r, text := get(t, server.URL+"/?trigger=&reason="+"%22%3E%3Cscript%3E")
	if strings.Contains(text, "<script") {
		t.Errorf("the page holds a script:\n%s", text)
	}
	_, text = get(t, server.URL+"/")
	if strings.Contains(text, "<script") || !strings.Contains(text, "&lt;script&gt;alert(1)") {
		t.Errorf("the page does not show an odd name as it is:\n%s", text)
	}
	policy := r.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") ||
		strings.Contains(policy, "script-src") {
		t.Errorf("policy %q lets scripts run", policy)
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") ||
		r.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", r.Header)
	}
	if r, _ := get(t, server.URL+"/page.css"); !strings.HasPrefix(r.Header.Get("Content-Type"), "text/css") {
		t.Errorf("the style is %q", r.Header.Get("Content-Type"))
	}
	if r, _ := get(t, server.URL+"/other"); r.StatusCode != http.StatusNotFound {
		t.Errorf("another path answers %s", r.Status)
	}
}

func TestPageShowsProblem(t *testing.T) {
	handler := deliveries.Handler(func(context.Context, deliveries.Filter) ([]deliveries.Delivery, error) {
		return nil, errors.New("no replica <answers>")
	})
	server := httptest.NewServer(handler)
	defer server.Close()
	if _, text := get(t, server.URL); !strings.Contains(text, "no replica &lt;answers&gt;") {
		t.Errorf("the page is silent:\n%s", text)
	}
	if r, text := get(t, server.URL+deliveries.JSONPath); r.StatusCode != http.StatusBadGateway ||
		!strings.Contains(text, "no replica") {
		t.Errorf("JSON: got %s: %s", r.Status, text)
	}
}

// A page from elsewhere whose name resolves to loopback sends its own name as Host.
func TestOnlyLoopbackIsAnswered(t *testing.T) {
	handler := deliveries.Handler(log(1, 1).Source)
	for host, want := range map[string]int{
		"localhost:8082": 200, "127.0.0.1:1": 200, "[::1]:8082": 200, "localhost": 200, "::1": 200,
		"evil.example.com": 403, "evil.example.com:8082": 403, "10.0.0.1:8082": 403, "": 403,
		"localhost.evil.example.com": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/deliveries", nil)
		r.Host = host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: got %d, want %d", host, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/deliveries", nil)
	r.Host = "localhost"
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", w.Code)
	}
}

func BenchmarkObserve(b *testing.B) {
	l := log(50, 300)
	r := record("a", 1)
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(r)
	}
}
