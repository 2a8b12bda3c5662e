package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekgate/tekgate/interceptor/deliveries"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// made returns a PipelineRun that began some seconds after noon.
func made(name string, seconds int, status, reason, message string) *Run {
	r := &Run{}
	r.Kind = "PipelineRun"
	r.Metadata.Name, r.Metadata.Namespace, r.Metadata.UID = name, "ci", types.UID(name)
	r.Metadata.CreationTimestamp = metav1.NewTime(noon.Add(time.Duration(seconds) * time.Second))
	r.Status.Conditions = []Condition{{Type: "Ready"},
		{Type: "Succeeded", Status: status, Reason: reason, Message: message}}
	return r
}

func TestState(t *testing.T) {
	for _, tt := range []struct{ status, reason, want string }{
		{"", "", Pending},
		{"Unknown", "Started", Running},
		{"Unknown", "Running", Running},
		{"Unknown", "Pending", Pending},
		{"Unknown", "ExceededResourceQuota", Pending},
		{"True", "Completed", Succeeded},
		{"False", "Failed", Failed},
		{"False", "CouldntGetTask", Failed},
		{"False", "Cancelled", Cancelled},
		{"False", "TaskRunCancelled", Cancelled},
		{"False", "PipelineRunTimeout", TimedOut},
		{"False", "TaskRunTimeout", TimedOut},
	} {
		if got := made("a", 0, tt.status, tt.reason, "").State(); got != tt.want {
			t.Errorf("%s/%s: got %s, want %s", tt.status, tt.reason, got, tt.want)
		}
	}
	held := &Run{}
	held.Spec.Status = "PipelineRunPending"
	held.Status.Conditions = []Condition{{Type: "Succeeded", Status: "Unknown", Reason: "Started"}}
	if got := held.State(); got != Pending {
		t.Errorf("a run that nobody released is %s", got)
	}
}

func TestShrink(t *testing.T) {
	r := made("a", 0, "False", "Failed", strings.Repeat("失", 1000))
	r.shrink("TaskRun")
	c := r.condition()
	if len(r.Status.Conditions) != 1 || len(c.Message) > longestMessage || strings.ContainsRune(c.Message, '\uFFFD') ||
		!strings.HasPrefix(c.Message, "失失") || r.Kind != "TaskRun" {
		t.Errorf("what is left is %+v", r)
	}
}

func TestFirstSentence(t *testing.T) {
	for text, want := range map[string]string{
		"one. Two.":               "one.",
		"version 1.2 is old\nsee": "version 1.2 is old",
		"\x1b[31mred\x07":         " [31mred ",
		"\n\n first":              "first",
	} {
		if got := firstSentence(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestLayout holds that a table fits its terminal, whatever the texts and the size are.
func TestLayout(t *testing.T) {
	v := &view{options: &options{all: true}, details: newDetails(func(error) {}), now: func() time.Time { return noon },
		sources: []*source{{outage: &outage{}}}}
	var runs []*Run
	for i := range 100 {
		status := []string{"Unknown", "True", "False"}[i%3]
		runs = append(runs, made(fmt.Sprintf("run-with-a-long-name-%d", i), i, status, "Failed",
			"步骤失败了 because of something that takes more than one line to say"))
	}
	sortRuns(runs)
	for _, size := range [][2]int{{200, 50}, {80, 24}, {40, 10}, {20, 5}, {5, 3}, {80, 1}, {1, 1}} {
		width, height := size[0], size[1]
		lines := v.layout(runs, false, width, height)
		if len(lines) != min(height, len(runs)+2) {
			t.Errorf("%v: there are %d lines", size, len(lines))
		}
		for _, line := range lines {
			if runewidth.StringWidth(line) > width {
				t.Errorf("%v: a line has %d columns: %s", size, runewidth.StringWidth(line), line)
			}
		}
	}
	lines := v.layout(runs, false, 120, 40)
	if !strings.Contains(lines[0], "34 running, 33 failed, 33 succeeded") {
		t.Errorf("the title is %q", lines[0])
	}
	if !strings.Contains(lines[2], "run-with-a-long-name-99") || !strings.Contains(lines[2], "Running") ||
		!strings.Contains(lines[36], "run-with-a-long-name-98") {
		t.Errorf("the running and newest are not first:\n%s", strings.Join(lines, "\n"))
	}
	v.sources[0].outage.last = "the API server does not answer: refused"
	if lines := v.layout(nil, true, 80, 24); !strings.Contains(lines[0], "does not answer: refused") {
		t.Errorf("an outage is not shown: %q", lines)
	}
}

func TestTable(t *testing.T) {
	rows := [][]string{{"RUN", "CAUSE", "DURATION", "STATE", "WHY"}, {"pr/a", "-", "1s", "Failed", "a long reason for it"}}
	got := table(rows, 0)
	want := []string{"RUN   CAUSE  DURATION  STATE   WHY", "pr/a  -      1s        Failed  a long reason for it"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := table(rows, 44); got[1] != "pr/a  -      1s        Failed  a long reaso…" {
		t.Errorf("narrow: got %q", got)
	}
}

// TestCauses holds that the record of a delivery is found by the event's id, is read once for many
// runs, and that a record which cannot be read is warned of once.
func TestCauses(t *testing.T) {
	var warnings []error
	d := newDetails(func(err error) { warnings = append(warnings, err) })
	asked := 0
	d.source = func(context.Context, deliveries.Filter) ([]deliveries.Delivery, error) {
		asked++
		return []deliveries.Delivery{
			{EventID: "e-1", Reason: "ignored", Provider: "github"},
			{EventID: "e-1", Continue: true, Provider: "gitee", Event: "push", SHA: "1234567890abcdef", Sender: "alice",
				Repository: "team/app", Ref: "refs/heads/main"},
			{EventID: "e-2", Continue: true, Provider: "gitlab", Event: "push\x1b", SHA: "abc"},
		}, nil
	}
	run := func(event string) *Run {
		r := made("a", 0, "Unknown", "Running", "")
		r.Metadata.Labels.EventID, r.Metadata.Labels.Trigger = event, "push-trigger"
		return r
	}
	for event, want := range map[string]string{
		"e-1": "gitee push 12345678 by alice event e-1",
		"e-2": "gitlab push  abc event e-2",
		"e-3": "push-trigger event e-3",
		"":    "",
	} {
		for range 2 {
			if got := d.find(t.Context(), run(event)).cause.String(); got != want {
				t.Errorf("%s: got %q, want %q", event, got, want)
			}
		}
	}
	if asked > 3 {
		t.Errorf("three events were looked up in %d requests", asked)
	}

	d = newDetails(func(err error) { warnings = append(warnings, err) })
	d.source = func(context.Context, deliveries.Filter) ([]deliveries.Delivery, error) {
		return nil, errors.New("no right to list Pods")
	}
	for _, event := range []string{"e-1", "e-2"} {
		if got := d.find(t.Context(), run(event)).cause.String(); got != "push-trigger event "+event {
			t.Errorf("without a record: got %q", got)
		}
	}
	if len(warnings) != 1 || warnings[0].Error() != "commits and senders are not shown until the record can be read: no right to list Pods" {
		t.Errorf("the warnings are %v", warnings)
	}
	d.source = func(context.Context, deliveries.Filter) ([]deliveries.Delivery, error) {
		return []deliveries.Delivery{{EventID: "e-2", Continue: true, Provider: "gitee", Event: "push"}}, nil
	}
	if got := d.find(t.Context(), run("e-2")).cause.String(); got != "push-trigger event e-2" {
		t.Errorf("soon after an error: got %q", got)
	}
	d.retry = time.Now() // the pause is over
	if got := d.find(t.Context(), run("e-2")).cause.String(); got != "gitee push event e-2" {
		t.Errorf("once the record can be read again: got %q", got)
	}
}

// TestEnded holds what is shown of runs that ended in unusual ways.
func TestEnded(t *testing.T) {
	r := made("a", 0, "False", "CreateContainerConfigError", "cloning https://bob:hunter2@git.example.com failed")
	began, ended := metav1.NewTime(noon), metav1.NewTime(noon.Add(time.Minute))
	if got := r.duration(noon.Add(time.Hour)); got != 0 {
		t.Errorf("a run that was refused took %s", got)
	}
	r.Status.StartTime, r.Status.Conditions[1].Changed = &began, &ended
	if got := r.duration(noon.Add(time.Hour)); got != time.Minute {
		t.Errorf("a run without a time of completion took %s, want the minute until its condition changed", got)
	}
	if got := r.message(); strings.Contains(got, "hunter2") || !strings.Contains(got, "git.example.com") {
		t.Errorf("its message is %q", got)
	}
	again := made("a", 0, "Unknown", "Running", "")
	again.Metadata.UID = "another"
	if !replaced(r, again) || replaced(r, r) {
		t.Error("a run is taken for an earlier one of its name")
	}
	pipe, task := made("a", 0, "False", "Failed", ""), made("a", 0, "False", "Failed", "")
	task.Kind = "TaskRun"
	runs := []*Run{task, pipe}
	if sortRuns(runs); runs[0] != pipe {
		t.Error("runs of one name are sorted by their place and not by their kind")
	}
}

// TestInitialDetails holds that only the newest failures of a long list are asked about.
func TestInitialDetails(t *testing.T) {
	d := newDetails(func(error) {})
	asked := 0
	d.sentence = func(_ context.Context, namespace, kind, name string) string {
		asked++
		return kind + " " + namespace + "/" + name + " failed"
	}
	var runs []*Run
	for i := range 3 * explained {
		status := []string{"False", "True"}[i%2]
		runs = append(runs, made(fmt.Sprintf("run-%d", i), i, status, "Failed", "tkn says this"))
	}
	sortRuns(runs)
	found := d.initial(t.Context(), runs)
	newest := newRow(runs[1], found[runs[1].Metadata.UID], noon)
	oldest := newRow(runs[len(runs)-1], found[runs[len(runs)-1].Metadata.UID], noon)
	if asked != explained || newest.Why != "PipelineRun ci/run-58 failed" || oldest.Why != "tkn says this" {
		t.Errorf("%d were asked about, the newest is %q, the oldest %q", asked, newest.Why, oldest.Why)
	}
}
