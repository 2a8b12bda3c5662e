package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Arms take turns there and back, and each gets what it is due.
func TestInTurn(t *testing.T) {
	var order []string
	seen := inTurn(t.Context(), []string{"a", "b", "c"}, 2, 1, 2, func(_ context.Context, arm string) (time.Duration, error) {
		order = append(order, arm)
		if arm == "b" {
			return 0, errors.New("no")
		}
		return time.Millisecond, nil
	})
	if got := strings.Join(order, ""); got != "ccbbaaaabbcc" {
		t.Errorf("the order is %s", got)
	}
	if a, b := seen["a"], seen["b"]; len(a.took) != 4 || a.complaint("a") != nil || len(b.failed) != 4 || b.complaint("b") == nil {
		t.Errorf("a has %+v, b %+v", a, b)
	}
}

func TestQuantile(t *testing.T) {
	s := sample{}
	for i := range 100 {
		s.took = append(s.took, time.Duration(100-i)*time.Millisecond)
	}
	if median, p99, most := s.quantile(0.5), s.quantile(0.99), s.quantile(1); median != 51 || p99 != 100 || most != 100 {
		t.Errorf("median %v, p99 %v, most %v", median, p99, most)
	}
	if none := (&sample{}).quantile(0.5); none != 0 {
		t.Errorf("no requests took %v", none)
	}
}

// A slow answer takes a place from others, and loses none that was sent.
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

func TestAdmissionTimes(t *testing.T) {
	const series = `apiserver_admission_webhook_admission_duration_seconds_`
	page := func(sum, count string) string {
		return "# HELP x\n" + series + `bucket{name="a.example.com",operation="CREATE",rejected="false",type="admit",le="0.005"} 9` + "\n" +
			series + `sum{name="a.example.com",operation="CREATE",rejected="false",type="admit"} ` + sum + "\n" +
			series + `count{name="a.example.com",operation="CREATE",rejected="false",type="admit"} ` + count + "\n" +
			series + `sum{name="b.example.com",operation="CREATE",rejected="false",type="admit"} 1` + "\n" +
			series + `count{name="b.example.com",operation="CREATE",rejected="false",type="admit"} 1` + "\n"
	}
	before, err := admissionTimesOf(page("1.5", "100"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := admissionTimesOf(page("1.9", "300"))
	if err != nil {
		t.Fatal(err)
	}
	means := after.since(before)
	if len(means) != 1 || math.Abs(means["a.example.com"]-2) > 1e-9 {
		t.Errorf("the means are %v", means)
	}
	if _, err := admissionTimesOf(page("many", "1")); err == nil {
		t.Error("a value that is no number passes")
	}
}

// The null handler echoes the uid of the request, without which no API server takes the
// answer, and the patch that it was given.
func TestNullHandler(t *testing.T) {
	for _, patch := range []string{"", `[{"op":"add","path":"/a","value":"b"}]`} {
		recorder := httptest.NewRecorder()
		const body = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"of-the-request","kind":{},"object":{"metadata":{"uid":"of-the-object"}}}}`
		nullHandler([]byte(patch)).ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		var review struct {
			Response struct {
				UID, PatchType string
				Allowed        bool
				Patch          []byte
			}
		}
		err := json.Unmarshal(recorder.Body.Bytes(), &review)
		if r := review.Response; err != nil || !r.Allowed || string(r.Patch) != patch || (patch != "") != (r.PatchType == "JSONPatch") || r.UID != "of-the-request" {
			t.Errorf("with the patch %q it answers %s, error %v", patch, recorder.Body, err)
		}
	}
	recorder := httptest.NewRecorder()
	nullHandler(nil).ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}")))
	if recorder.Code != 400 {
		t.Errorf("what is no review is answered with %d", recorder.Code)
	}
}

// An arm that does not do its job, and an arm without admission that does, are told.
func TestDone(t *testing.T) {
	all := strings.Join(jobTraces, " ")
	for _, tt := range []struct {
		arm, answer string
		want        bool
	}{
		{armOurs, all, true}, {armOurs, strings.Join(jobTraces[1:], " "), false}, {armNone, "{}", true}, {armNone, all, false},
	} {
		if err := done(tt.arm, []byte(tt.answer)); (err == nil) != tt.want {
			t.Errorf("arm %s with %q gives %v", tt.arm, tt.answer, err)
		}
	}
}

// Every arm has a Namespace of its own, with a name that Kubernetes takes.
func TestSpaces(t *testing.T) {
	var spaces []string
	for _, arm := range []string{armNone, armAgain, armNull, armOurs, armJudged, armPolicy, armGatekeeper, armKyverno, armKyvernoCEL, armPodIdentity} {
		spaces = append(spaces, space(arm))
	}
	if got := slices.Compact(slices.Sorted(slices.Values(spaces))); len(got) != len(spaces) {
		t.Errorf("two arms share one of %v", spaces)
	}
	for _, name := range spaces {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%q is no name of a Namespace", name)
		}
	}
}
