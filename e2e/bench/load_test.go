package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Candidates take turns there and back, and each gets its own requests.
func TestInTurn(t *testing.T) {
	var order []string
	send := func(_ context.Context, candidate string) (time.Duration, error) {
		order = append(order, candidate)
		if candidate == "b" {
			return 0, errors.New("no")
		}
		return time.Millisecond, nil
	}
	seen := inTurn(t.Context(), []string{"a", "b", "c"}, 2, 1, 2, send)
	if got := strings.Join(order, ""); got != "ccbbaaaabbcc" {
		t.Errorf("the order is %s", got)
	}
	a, b := seen["a"], seen["b"]
	if len(a.took) != 4 || a.err("a") != nil || len(b.failed) != 4 || b.err("b") == nil {
		t.Errorf("a has %+v, b %+v", a, b)
	}
}

func TestQuantile(t *testing.T) {
	s := sample{}
	for i := range 100 {
		s.took = append(s.took, time.Duration(100-i)*time.Millisecond)
	}
	median, p99, most := s.median(), s.p99(), s.quantile(1)
	if median != 51 || p99 != 100 || most != 100*time.Millisecond {
		t.Errorf("median %v, p99 %v, most %v", median, p99, most)
	}
	if none := (&sample{}).median(); none != 0 {
		t.Errorf("no requests took %v", none)
	}
}

// Slow answers slow down the pace, and no request that was sent is lost.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(width int, slow time.Duration) sample {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			return pace(ctx, 100, width, func(ctx context.Context) (time.Duration, error) {
				time.Sleep(slow)
				return slow, ctx.Err()
			})
		}
		if s := run(8, 20*time.Millisecond); math.Abs(float64(len(s.took))-1000) > 10 || len(s.failed) > 0 {
			t.Errorf("at 100 a second, %d were answered in 10 s, and %d failed", len(s.took), len(s.failed))
		}
		if s := run(2, time.Second); math.Abs(float64(len(s.took))-20) > 2 || len(s.failed) > 0 {
			t.Errorf("two at a time, %d slow ones were answered in 10 s, and %d failed", len(s.took), len(s.failed))
		}
	})
}

func TestWebhookCalls(t *testing.T) {
	const series = `apiserver_admission_webhook_admission_duration_seconds_`
	page := func(sum, count string) string {
		const labels = `",operation="CREATE",rejected="false",type="admit"`
		return "# HELP x\n" + series + `bucket{name="a.example.com` + labels + `,le="0.005"} 9` + "\n" +
			series + `sum{name="a.example.com` + labels + `} ` + sum + "\n" +
			series + `count{name="a.example.com` + labels + `} ` + count + "\n" +
			series + `sum{name="b.example.com` + labels + `} 1` + "\n" +
			series + `count{name="b.example.com` + labels + `} 1` + "\n"
	}
	before, err := parseWebhookCalls(page("1.5", "100"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseWebhookCalls(page("1.9", "300"))
	if err != nil {
		t.Fatal(err)
	}
	means := after.since(before)
	if len(means) != 1 || math.Abs(means["a.example.com"]-2) > 1e-9 {
		t.Errorf("the means are %v", means)
	}
	if _, err := parseWebhookCalls(page("many", "1")); err == nil {
		t.Error("a value that is no number passes")
	}
}

// A candidate that does not do its job is an error, and so is no admission that does one.
func TestCheckJob(t *testing.T) {
	all := strings.Join(jobTraces, " ")
	for _, tt := range []struct {
		candidate, answer string
		want              bool
	}{
		{tekgate, all, true}, {tekgate, strings.Join(jobTraces[1:], " "), false},
		{noAdmission, "{}", true}, {noAdmission, all, false},
	} {
		if err := checkJob(tt.candidate, []byte(tt.answer)); (err == nil) != tt.want {
			t.Errorf("%s with %q gives %v", tt.candidate, tt.answer, err)
		}
	}
}

// Each candidate has a Namespace of its own, with a valid name.
func TestNamespaces(t *testing.T) {
	var namespaces []string
	for _, candidate := range []string{
		noAdmission, noAdmissionAgain, null, tekgate, tekgateValidating, admissionPolicy, gatekeeper, kyvernoPolicy,
		kyvernoCEL, podIdentity,
	} {
		namespaces = append(namespaces, namespace(candidate))
	}
	if got := slices.Compact(slices.Sorted(slices.Values(namespaces))); len(got) != len(namespaces) {
		t.Errorf("two candidates share one of %v", namespaces)
	}
	for _, name := range namespaces {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%q is no valid name of a Namespace", name)
		}
	}
}
