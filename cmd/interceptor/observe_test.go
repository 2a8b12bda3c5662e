package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/server"
)

func refusedRecord(trigger string, at time.Time) interceptor.Record {
	return interceptor.Record{
		Time: at, TriggerID: "namespaces/ci/triggers/" + trigger, EventID: "event", Provider: "github",
		Reason:  "signature-mismatch",
		Message: "the signature does not match", Event: "hunter2", Repository: "hunter2",
	}
}

func TestMetrics(t *testing.T) {
	expires := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	m := newMetrics(func() (leaf, ca time.Time) { return expires, expires.Add(time.Hour) })
	m.matched.enable(true)
	now := time.Now()
	m.Observe(refusedRecord("a", now))
	m.Observe(interceptor.Record{
		Time: now, Duration: 3 * time.Millisecond, TriggerID: "namespaces/ci/triggers/a", Provider: "gitee",
		Continue: true, Reason: "verified", Verified: true,
		Signed: true, Skew: 2 * time.Second, Newline: true, Matched: interceptor.SecretKey{Name: "hook", Key: "token"},
		Secret: interceptor.SecretState{Since: now.Add(-time.Hour)},
	})
	server := httptest.NewServer(m.handler())
	defer server.Close()
	r, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("got %s, error %v\n%s", r.Status, err, text)
	}
	for _, line := range []string{
		`tekgate_interceptor_verdicts_total{provider="github",reason="signature-mismatch",result="stop"} 1`,
		`tekgate_interceptor_verdicts_total{provider="gitee",reason="verified",result="continue"} 1`,
		`tekgate_interceptor_verdict_duration_seconds_bucket{provider="gitee",le="0.005"} 1`,
		`tekgate_interceptor_clock_skew_seconds_sum{provider="gitee"} 2`,
		`tekgate_interceptor_secret_newlines_total 1`,
		`tekgate_interceptor_secret_lookups_total{outcome="stale"} 0`,
		`tekgate_interceptor_matched_secret_age_seconds{key="token",namespace="ci",secret="hook"} 3600`,
		`tekgate_interceptor_matched_secret_last_use_timestamp_seconds{key="token",namespace="ci",secret="hook"} `,
		`tekgate_interceptor_certificate_expiry_timestamp_seconds{certificate="serving"} 1.893456e+09`,
		`tekgate_interceptor_certificate_expiry_timestamp_seconds{certificate="ca"} `,
		`tekgate_config_last_reload_successful 1`,
		`tekgate_config_last_reload_success_timestamp_seconds `,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the metrics lack %s:\n%s", line, text)
		}
	}
	if strings.Contains(string(text), "hunter2") {
		t.Error("a word that the sender chose is in the metrics")
	}
	if r, err := http.Get(server.URL + "/other"); err != nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("another path: got %v, error %v", r, err)
	}
}

// The matched Secrets are few by nature; made-up ones never verify. Still there is
// a bound.
func TestMatchedSecretsAreBounded(t *testing.T) {
	m := &matched{seen: map[matchedKey]matchedValue{}}
	m.enable(true)
	for i := range 3 * matchedMax {
		m.note(interceptor.Record{TriggerID: "namespaces/ci/triggers/a",
			Matched: interceptor.SecretKey{Name: fmt.Sprint(i), Key: "k"}, Time: time.Now()})
	}
	if len(m.seen) != matchedMax {
		t.Errorf("%d are remembered", len(m.seen))
	}
}

// Metrics name no Secret unless the configuration says so, and forget the names when it no
// longer does.
func TestMetricsNameNoSecrets(t *testing.T) {
	m := newMetrics(func() (leaf, ca time.Time) { return time.Time{}, time.Time{} })
	named := func() bool {
		t.Helper()
		m.Observe(interceptor.Record{
			Time: time.Now(), TriggerID: "namespaces/ci/triggers/a", Provider: "gitee", Continue: true, Verified: true,
			Matched: interceptor.SecretKey{Name: "hook", Key: "token"},
		})
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(fmt.Sprint(families), "hook")
	}
	if named() {
		t.Error("a Secret is named by default")
	}
	m.matched.enable(true)
	if !named() {
		t.Error("no Secret is named where the configuration says so")
	}
	m.matched.enable(false)
	if named() || len(m.matched.seen) > 0 {
		t.Error("a Secret is still named after the metrics were switched off")
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	at := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	f := newRefusals(nil)
	told := func() int { return len(f.queue) }
	for i := range 2 {
		f.Observe(refusedRecord("a", at.Add(time.Duration(i)*time.Second)))
	}
	if told() != 0 {
		t.Error("two refusals are told")
	}
	pass := refusedRecord("a", at.Add(3*time.Second))
	pass.Continue, pass.Reason = true, "verified"
	f.Observe(pass)
	f.Observe(refusedRecord("a", at.Add(4*time.Second)))
	if told() != 0 {
		t.Error("a pass in between does not count")
	}
	for i := range 100 {
		f.Observe(refusedRecord("a", at.Add(time.Duration(5+i)*time.Second)))
	}
	if told() != 1 {
		t.Errorf("a hundred refusals within ten minutes are told %d times", told())
	}
	for _, reason := range []string{"ping", "filtered", "ref-deleted"} {
		for i := range 10 {
			r := refusedRecord("ordinary", at.Add(time.Duration(i)*time.Second))
			r.Reason = reason
			f.Observe(r)
		}
	}
	for i := range 10 {
		f.Observe(refusedRecord("b", at.Add(time.Duration(i)*11*time.Minute)))
	}
	if told() != 1 {
		t.Errorf("what is ordinary, or rare, is told: %d", told())
	}
	for i := range 10 * maxRefused {
		f.Observe(refusedRecord(fmt.Sprint("made-up-", i), at))
	}
	if len(f.counts) > maxRefused {
		t.Errorf("%d triggers are counted", len(f.counts))
	}
	for i := range 10 * refusalQueue {
		for range refusalCount {
			f.Observe(refusedRecord(fmt.Sprint("many-", i), at))
		}
	}
	if told() != refusalQueue {
		t.Errorf("%d wait", told())
	}
}

// testEvents lets the manifests' ServiceAccount write Events on a Trigger, on the
// EventListener that a trigger is a part of, and on nothing where there is neither.
func (s *triggersSite) testEvents(t *testing.T) {
	s.apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: events}\n---\n"+
		"apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: own, namespace: events}\nspec: {template: {ref: x}}\n---\n"+
		"apiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\nmetadata: {name: listener, namespace: events}\n"+
		"spec: {triggers: [{name: inline, template: {ref: x}}], triggerGroups: [{name: grouped, interceptors: [{ref: {name: x}}], triggerSelector: {labelSelector: {}}}]}")
	applyFile(t, s.client, "../../manifests/tekgate/200-interceptor-rbac.yaml")
	config := rest.CopyConfig(s.api.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:tekgate:tekgate-interceptor"}
	limited, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := newRefusals(&server.Events{Client: limited, Component: "tekgate-interceptor", Log: logr.Discard()})
	for _, id := range []string{"triggers/own", "triggers/inline", "triggerGroups/grouped", "triggers/absent",
		"triggers/"} {
		eventually(t, func() error {
			return f.write(t.Context(), refused{triggerID: "namespaces/events/" + id, reason: "signature-mismatch",
				eventID: "an id", count: 5, within: time.Minute})
		})
	}
	list := &corev1.EventList{}
	if err := s.client.List(t.Context(), list, client.InNamespace("events")); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range list.Items {
		got[e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name+": "+e.Message] = e.Reason
		if e.Type != "Warning" || e.InvolvedObject.UID == "" || e.Count != 5 {
			t.Errorf("got %+v", e)
		}
	}
	const said = `5 events for trigger %q were refused within 1m0s, the last one (event id "an id") for the reason signature-mismatch: ` +
		"`tekgate hook deliveries --refused -n events --trigger %s` says why"
	for about, name := range map[string]string{"Trigger/own": "own", "EventListener/listener": "inline"} {
		if got[about+": "+fmt.Sprintf(said, name, name)] != "DeliveriesRefused" {
			t.Errorf("there is none on %s: %v", about, got)
		}
	}
	if len(got) != 3 {
		t.Errorf("got %d Events: %v", len(got), got)
	}
}
