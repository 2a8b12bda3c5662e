package interceptor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
)

// memory is a replay store for one process.
type memory struct {
	mu     sync.Mutex
	events map[string]string
	claims []interceptor.ReplayClaim
	err    error
}

func (m *memory) Claim(_ context.Context, c interceptor.ReplayClaim) (interceptor.ReplayResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claims = append(m.claims, c)
	if m.err != nil {
		return "", m.err
	}
	if m.events == nil {
		m.events = map[string]string{}
	}
	switch event, found := m.events[c.Key]; {
	case !found:
		m.events[c.Key] = c.EventID
		return interceptor.ReplayFirst, nil
	case event == c.EventID:
		return interceptor.ReplaySame, nil
	}
	return interceptor.ReplaySeen, nil
}

// records are what an observer saw.
type records struct{ all []interceptor.Record }

func (r *records) Observe(rec interceptor.Record) { r.all = append(r.all, rec) }

func (r *records) last(t *testing.T) interceptor.Record {
	t.Helper()
	if len(r.all) == 0 {
		t.Fatal("nothing was observed")
	}
	return r.all[len(r.all)-1]
}

func observed(store interceptor.ReplayStore, held secrets, config interceptor.Config) (*interceptor.Handler, *records) {
	seen := &records{}
	if held == nil {
		held = testSecrets()
	}
	return interceptor.New(config, interceptor.Options{
		After: instantly, Callers: anyone{},
		Secrets: held, Replay: store, Observers: []interceptor.Observer{seen}, Log: logr.Discard(), Now: at(signedAt),
	}), seen
}

func event(id string) edit {
	return func(r *v1beta1.InterceptorRequest) { r.Context.EventID = id }
}

func TestReplay(t *testing.T) {
	store := &memory{}
	h, seen := observed(store, nil, interceptor.Default())
	enforce := param("replay", "enforce")
	steps := []struct {
		name   string
		req    *v1beta1.InterceptorRequest
		pass   bool
		result interceptor.ReplayResult
	}{
		{"first", giteeRequest(enforce, event("a")), true, interceptor.ReplayFirst},
		{"another trigger of the event", giteeRequest(enforce, event("a"), trigger("namespaces/ci/triggers/other")),
			true, interceptor.ReplaySame},
		{"sent again", giteeRequest(enforce, event("b")), false, interceptor.ReplaySeen},
		{"sent again to another trigger", giteeRequest(enforce, event("b"), trigger("namespaces/ci/triggers/other")),
			false, interceptor.ReplaySeen},
		{"sent again with another delivery id", giteeRequest(enforce, event("c"), header("X-Request-Id", "new")), false,
			interceptor.ReplaySeen},
		{"sent again with another body", giteeRequest(enforce, event("d"), body(`{"ref":"refs/heads/master"} `)), false,
			interceptor.ReplaySeen},
		{"warn", giteeRequest(param("replay", "warn"), event("e")), true, interceptor.ReplaySeen},
		{"off", giteeRequest(event("f")), true, ""},
		{"ping", giteeRequest(enforce, event("g"), header("X-Gitee-Ping", "true")), false, ""},
		{"github", githubRequest(enforce, event("a")), true, interceptor.ReplayFirst},
		{"github, sent again", githubRequest(enforce, event("b")), false, interceptor.ReplaySeen},
		{"github, with another id", githubRequest(enforce, event("b"), header("X-GitHub-Delivery", "0-1")), false,
			interceptor.ReplaySeen},
		{"wrong signature", githubRequest(enforce, event("b"), body("x")), false, ""},
	}
	for _, s := range steps {
		got := send(t, h, s.req)
		if rec := seen.last(t); got.Continue != s.pass || rec.Replay != s.result || rec.Continue != s.pass {
			t.Errorf("%s: got %+v and %q", s.name, got, rec.Replay)
		}
	}
	claim := store.claims[0]
	if claim.Namespace != "ci" || len(claim.Key) != 64 || claim.EventID != "a" ||
		!claim.Until.Equal(time.UnixMilli(signedAt).Add(5*time.Minute)) {
		t.Errorf("got %+v", claim)
	}
}

// TestReplayRetention holds how long deliveries are remembered: for the retention, or until
// their signed time is too old, which no Trigger can prolong.
func TestReplayRetention(t *testing.T) {
	store := &memory{}
	h, _ := observed(store, nil, interceptor.Default())
	send(t, h, githubRequest(param("replay", "enforce"), param("maxAge", "10m")))
	send(t, h, giteeRequest(param("replay", "enforce"), param("maxAge", "20m")))
	for i, want := range []time.Duration{7 * 24 * time.Hour, 5 * time.Minute} {
		if got := store.claims[i].Until.Sub(time.UnixMilli(signedAt)); got != want {
			t.Errorf("claim %d: got %s, want %s", i, got, want)
		}
	}
}

// TestReplayBodyTime holds that a delivery whose body was signed long ago is refused once it
// may have been forgotten.
func TestReplayBodyTime(t *testing.T) {
	old := time.UnixMilli(signedAt).Add(-8 * 24 * time.Hour)
	for name, tt := range map[string]struct {
		provider, event, payload, reason string
	}{
		"push": {"github", "push", fmt.Sprintf(`{"repository":{"pushed_at":%d}}`, old.Unix()), "signed-too-long-ago"},
		"recent push": {"github", "push", fmt.Sprintf(`{"repository":{"pushed_at":%d}}`, old.Unix()+2*86400),
			"verified"},
		"another event": {"github", "issues", fmt.Sprintf(`{"repository":{"pushed_at":%d}}`, old.Unix()), "verified"},
		"pull request": {"github", "pull_request", `{"pull_request":{"updated_at":"` + old.Format(time.RFC3339) + `"}}`,
			"signed-too-long-ago"},
		"Data Center": {"bitbucket", "repo:refs_changed", `{"date":"` + old.Format("2006-01-02T15:04:05-0700") + `"}`,
			"signed-too-long-ago"},
		"no time": {"github", "push", `{"repository":{"pushed_at":"soon"}}`, "verified"},
	} {
		v := signedVector(t, json.RawMessage(`{"provider":"`+tt.provider+`"}`), secret, tt.event)
		v.body = tt.payload
		v = resigned(t, v, tt.event)
		h, seen := observed(&memory{}, nil, interceptor.Default())
		for replay, reason := range map[string]string{"enforce": tt.reason, "warn": "verified", "off": "verified"} {
			v.params["replay"] = replay
			if send(t, h, v.request()); seen.last(t).Reason != reason {
				t.Errorf("%s, %s: got %s, want %s", name, replay, seen.last(t).Reason, reason)
			}
		}
	}
}

func TestReplayStoreAway(t *testing.T) {
	for name, store := range map[string]interceptor.ReplayStore{"away": &memory{err: errors.New("connection refused")},
		"none": nil} {
		h, seen := observed(store, nil, interceptor.Default())
		got := send(t, h, giteeRequest(param("replay", "enforce")))
		if got.Continue || got.Status.Code != codes.Unavailable || strings.Contains(got.Status.Message, "refused") ||
			seen.last(t).Cause == nil {
			t.Errorf("%s, enforce: got %+v", name, got)
		}
		got = send(t, h, giteeRequest(param("replay", "warn")))
		if !got.Continue || seen.last(t).Cause == nil {
			t.Errorf("%s, warn: got %+v, cause %v", name, got, seen.last(t).Cause)
		}
	}
}

// secretRefs names several Secrets, each as name/key.
func secretRefs(pairs ...string) edit {
	return func(r *v1beta1.InterceptorRequest) {
		delete(r.InterceptorParams, "secretRef")
		var list []any
		for _, p := range pairs {
			name, key, _ := strings.Cut(p, "/")
			list = append(list, map[string]any{"secretName": name, "secretKey": key})
		}
		r.InterceptorParams["secretRefs"] = list
	}
}

// TestRotation names several Secrets, one of which verifies.
func TestRotation(t *testing.T) {
	tests := []struct {
		name  string
		refs  []string
		match string // "" is refused
		want  string
	}{
		{"new and old", []string{"hook/tutorial", "hook/token"}, "hook/token", ""},
		{"old first", []string{"hook/token", "hook/tutorial"}, "hook/token", ""},
		{"new one not there yet", []string{"absent/token", "hook/token"}, "hook/token", ""},
		{"old one gone", []string{"hook/token", "absent/token"}, "hook/token", ""},
		{"one cannot be read", []string{"away/token", "hook/token"}, "hook/token", ""},
		{"one has a newline", []string{"hook/tutorial", "hook/newline"}, "hook/newline", ""},
		{"neither", []string{"hook/tutorial", "hook/two"}, "", "none of the 2 Secrets"},
		{"wrong and absent", []string{"hook/tutorial", "absent/token"}, "", "is of no use"},
		{"wrong and away", []string{"away/token", "hook/tutorial"}, "", "could not be read just now"},
		{"away and absent", []string{"away/token", "absent/token"}, "", "could not be read just now"},
		{"absent and away", []string{"absent/token", "away/token"}, "", "could not be read just now"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, seen := observed(nil, nil, interceptor.Default())
			got := send(t, h, githubRequest(secretRefs(tt.refs...)))
			rec := seen.last(t)
			if got.Continue != (tt.match != "") || !strings.Contains(rec.Message, tt.want) {
				t.Fatalf("got %+v, for %q", got, rec.Message)
			}
			if matched := strings.Trim(rec.Matched.Name+"/"+rec.Matched.Key, "/"); matched != tt.match {
				t.Errorf("matched %q, want %q", matched, tt.match)
			}
			if got.Continue && got.Extensions["git"].(map[string]any)["verifiedBy"] != tt.match {
				t.Errorf("got %v", got.Extensions)
			}
			if tt.match != "" && rec.Newline != (tt.match == "hook/newline") {
				t.Errorf("newline is %v", rec.Newline)
			}
		})
	}
}

func TestAllowInsecure(t *testing.T) {
	allow := param("allowInsecure", true)
	unsigned := []edit{noHeader("X-Hub-Signature-256"), noHeader("X-Hub-Signature")}
	tests := []struct {
		name   string
		req    *v1beta1.InterceptorRequest
		pass   bool
		reason string
	}{
		{"unsigned", githubRequest(append(unsigned, allow)...), true, "unsigned-allowed"},
		{"unsigned, no secret named", githubRequest(append(unsigned, allow, noParam("secretRef"))...), true,
			"unsigned-allowed"},
		{"signed", githubRequest(allow), true, "verified"},
		{"signed, no secret named", githubRequest(allow, noParam("secretRef")), true, "unsigned-allowed"},
		{"signed wrongly", githubRequest(allow, body("x")), false, "signature-mismatch"},
		{"signed with SHA-1 alone", githubRequest(allow, noHeader("X-Hub-Signature-256")), false, "header-malformed"},
		{"signed in another shape", githubRequest(allow, header("X-Hub-Signature-256", "x")), false,
			"header-malformed"},
		{"unsigned ping", githubRequest(append(unsigned, allow, header("X-Github-Event", "ping"))...), false, "ping"},
		{"unsigned, another event", githubRequest(append(unsigned, allow, param("eventTypes", []string{"issues"}))...),
			false, "filtered"},
		{"unsigned gitee", giteeRequest(allow, header("X-Gitee-Token", "")), true, "unsigned-allowed"},
		{"unsigned gitee ping", giteeRequest(allow, header("X-Gitee-Token", ""), header("X-Gitee-Ping", "true")), false,
			"ping"},
		{"not allowed", githubRequest(append(unsigned, param("allowInsecure", false))...), false, "unsigned"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, seen := observed(nil, nil, interceptor.Default())
			got := send(t, h, tt.req)
			rec := seen.last(t)
			if got.Continue != tt.pass || rec.Reason != tt.reason ||
				rec.Verified != (tt.reason == "verified" || tt.name == "") {
				t.Fatalf("got %+v, reason %s, verified %v", got, rec.Reason, rec.Verified)
			}
			if tt.pass {
				git := got.Extensions["git"].(map[string]any)
				if (git["verified"] != "none") != rec.Verified || git["event"] != "push" ||
					(git["verifiedBy"] != "") != rec.Verified {
					t.Errorf("got %v", git)
				}
			}
		})
	}
	// Every provider and mode has such a reader.
	for _, v := range vectors {
		c := v
		c.params = map[string]any{"allowInsecure": true}
		for name, value := range v.params {
			c.params[name] = value
		}
		c.header, c.url = map[string]string{}, ""
		if eventHeader := v.header["X-GitHub-Event"]; eventHeader != "" {
			c.header["X-GitHub-Event"] = eventHeader
		}
		if got := c.send(t); !got.Continue || got.Extensions["git"].(map[string]any)["verified"] != "none" {
			t.Errorf("%s: got %+v", v.name, got)
		}
	}
}

func TestSecretLabel(t *testing.T) {
	labelled := labelledSecrets{secrets: testSecrets(), labels: map[string]string{"tekgate.dev/webhook": "yes"}}
	for label, pass := range map[string]bool{
		"": true, "tekgate.dev/webhook": true, "tekgate.dev/webhook=yes": true, "tekgate.dev/webhook=no": false,
		"tekgate.dev/other": false, "tekgate.dev/webhook=": false,
	} {
		config := interceptor.Default()
		config.SecretLabel = label
		if err := config.Validate(); err != nil {
			t.Error(err)
		}
		h := interceptor.New(config, interceptor.Options{After: instantly, Callers: anyone{},
			Secrets: labelled, Log: logr.Discard(), Now: at(signedAt)})
		got := send(t, h, giteeRequest())
		absent := send(t, h, giteeRequest(secretRef("absent", "token")))
		if got.Continue != pass {
			t.Errorf("label %q: got %+v", label, got)
		}
		if !pass && strings.Replace(absent.Status.Message, "absent", "hook", 1) != got.Status.Message {
			t.Errorf("a Secret without the label can be told from none:\n%s\n%s", got.Status.Message,
				absent.Status.Message)
		}
	}
	config := interceptor.Default()
	config.SecretLabel = "no label"
	if err := config.Validate(); err == nil || !strings.Contains(err.Error(), "secretLabel") {
		t.Errorf("got %v", err)
	}
}

type labelledSecrets struct {
	secrets
	labels map[string]string
}

func (l labelledSecrets) Get(ctx context.Context, namespace, name string) (*interceptor.Secret, error) {
	s, err := l.secrets.Get(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return &interceptor.Secret{Data: s.Data, Labels: l.labels,
		SecretState: interceptor.SecretState{ResourceVersion: "7", Since: time.UnixMilli(1)}}, nil
}

// TestRecord reads all that an observer is told, of a pass and of a refusal.
func TestRecord(t *testing.T) {
	seen := &records{}
	h := interceptor.New(interceptor.Default(), interceptor.Options{
		After: instantly, Callers: anyone{},
		Secrets: labelledSecrets{secrets: testSecrets()}, Observers: []interceptor.Observer{seen}, Log: logr.Discard(),
		Now: at(signedAt + 1500),
	})
	payload := strings.Replace(pushTo("refs/heads/main", ""), "{", `{"sender":{"login":"alice"},`, 1)
	send(t, h, giteeRequest(body(payload), secretRef("hook", "newline")))
	want := interceptor.Record{
		Time: time.UnixMilli(signedAt + 1500), TriggerID: triggerID, EventID: "evt-1", Provider: "gitee", Mode: "sign",
		Event: "push", Action: "updated", Repository: "example/app", Ref: "refs/heads/main", SHA: sha,
		Sender:   "alice",
		Continue: true, Reason: "verified", Verified: true, Covers: provider.StrengthTime, Newline: true,
		Signed: true, Skew: 1500 * time.Millisecond,
		Matched: interceptor.SecretKey{Name: "hook", Key: "newline"},
		Secret:  interceptor.SecretState{ResourceVersion: "7", Since: time.UnixMilli(1)},
	}
	if got := seen.last(t); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	send(t, h, githubRequest(body(payload), header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")))
	got := seen.last(t)
	if got.Continue || got.Verified || got.Reason != "signature-mismatch" || got.Repository != "example/app" ||
		got.Ref != "refs/heads/main" ||
		got.DeliveryID != "72d3162e-cc78-11e3-81ab-4c9367dc0958" || got.Message == "" ||
		got.Matched != (interceptor.SecretKey{}) {
		t.Errorf("got %+v", got)
	}
	// What a liar says about itself is no longer than what anybody says.
	send(t, h, githubRequest(body(`{"ref":"refs/heads/$(id)"}`), header("X-GitHub-Delivery", "a b\n"),
		event(strings.Repeat("x", 1000))))
	if got := seen.last(t); got.Ref != "" || got.DeliveryID != "" || len(got.EventID) != 128 {
		t.Errorf("got %+v", got)
	}
	for _, r := range seen.all {
		found := false
		for _, reason := range interceptor.Reasons {
			found = found || reason == r.Reason
		}
		if !found {
			t.Errorf("reason %q is not among Reasons", r.Reason)
		}
	}
}

// TestAnswerIsGitInJSON holds the extensions on the wire to their type.
func TestAnswerIsGitInJSON(t *testing.T) {
	for _, tt := range []struct{ provider, event, payload string }{
		{"github", "push", `{"ref":"refs/heads/中文/é","before":"` + sha + `","after":"` + sha2 +
			`","sender":{"login":"a"},"commits":[{"added":["ä b","c/ö.go"],"removed":[],"modified":["\u003c"]}]}`},
		{"github", "pull_request", `{"action":"opened","number":12}`}, {"github", "", ""},
	} {
		v := resigned(t, signedVector(t, json.RawMessage(`{"provider":"`+tt.provider+`"}`), secret, tt.event), tt.event)
		v.body = tt.payload
		v = resigned(t, v, tt.event)
		raw, err := json.Marshal(v.send(t).Extensions["git"])
		if err != nil {
			t.Fatal(err)
		}
		var typed provider.Git
		if err := json.Unmarshal(raw, &typed); err != nil {
			t.Fatal(err)
		}
		var a, b any
		again, err := json.Marshal(typed)
		if err != nil || json.Unmarshal(again, &a) != nil || json.Unmarshal(raw, &b) != nil ||
			fmt.Sprint(a) != fmt.Sprint(b) || typed.Verified == "" {
			t.Errorf("got %s, which is %+v and becomes %s", raw, typed, again)
		}
	}
}

// TestObserverPanics: what watches must not be able to stop an event, or another
// observer.
func TestObserverPanics(t *testing.T) {
	seen := &records{}
	broken := interceptor.ObserverFunc(func(interceptor.Record) { panic("a value that quotes " + secret) })
	h := interceptor.New(interceptor.Default(), interceptor.Options{
		After: instantly, Callers: anyone{},
		Secrets: testSecrets(), Observers: []interceptor.Observer{broken, seen}, Log: logr.Discard(), Now: at(signedAt),
	})
	if got := send(t, h, giteeRequest()); !got.Continue || len(seen.all) != 1 {
		t.Errorf("got %+v, and %d records", got, len(seen.all))
	}
}
