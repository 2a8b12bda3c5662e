package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/validator"
)

// paddedReview is a review of a TaskRun whose image no list allows, behind so many params
// and steps.
func paddedReview(params, steps int) []byte {
	var text strings.Builder
	text.WriteString(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u",` +
		`"kind":{"group":"tekton.dev","version":"v1","kind":"TaskRun"},` +
		`"resource":{"group":"tekton.dev","version":"v1","resource":"taskruns"},"namespace":"ci","operation":"CREATE",` +
		`"object":{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"padded","namespace":"ci"},` +
		`"spec":{"params":[`)
	for i := range params {
		fmt.Fprintf(&text, `%s{"name":"p%d","value":"v"}`, comma(i), i)
	}
	text.WriteString(`],"taskSpec":{"steps":[`)
	for i := range steps {
		fmt.Fprintf(&text, `%s{"image":"docker.io/library/tool:$(params.p%d)"}`, comma(i), i)
	}
	text.WriteString(`]}}}}}`)
	return []byte(text.String())
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// oneRegistry has all rules on, and enforces that images come from one registry.
func oneRegistry() *validator.Validator {
	config := validator.Default()
	config.Rules = map[string]validator.RuleConfig{}
	for _, r := range validator.Rules {
		config.Rules[r.ID] = validator.RuleConfig{Mode: validator.Warn}
	}
	config.Rules["image-registry"] = validator.RuleConfig{Mode: validator.Enforce}
	config.Policy.Images.Allowed = []string{"registry.example.com/**"}
	return &validator.Validator{Config: config}
}

// serving returns the way of a review from its bytes to the answer's, as in the server.
func serving(v *validator.Validator) http.Handler {
	return admit.NewBudget(admit.BudgetBytes).Handler(&admit.Webhook{Handler: v, Busy: v.Busy})
}

// TestFlood sends more reviews at a time than can be judged while their sender waits. Each
// is answered in time and refused: an API server that hears nothing, or 429, lets the
// object pass where the failurePolicy is Ignore.
func TestFlood(t *testing.T) {
	const patience = 10 * time.Second
	server := httptest.NewServer(serving(oneRegistry()))
	defer server.Close()
	body := paddedReview(15_000, 60)
	var group sync.WaitGroup
	for range 60 {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			res, err := postReview(ctx, server.URL+"?timeout="+patience.String(), body)
			if err != nil {
				t.Errorf("no review is answered in time: %v", err)
				return
			}
			if res.Allowed || !strings.Contains(res.Result.Message, "image-registry") {
				t.Errorf("got allowed %v, %.200q", res.Allowed, res.Result.Message)
			}
		})
	}
	group.Wait()
}

// postReview sends a review as an API server does, and returns the answer.
func postReview(ctx context.Context, url string, body []byte) (*admissionv1.AdmissionResponse, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(res.Body).Decode(&review); err != nil {
		return nil, fmt.Errorf("%s: %w", res.Status, err)
	}
	return review.Response, nil
}

// BenchmarkBeside measures what a review of ordinary size waits for its answer, all rules
// on, alone and while twelve others are in flight that are as costly as they can be, in
// turns. It reports both as the 99th of a hundred, in milliseconds, and their ratio. The
// server is a process of its own, as it is beside an API server: in one process, the
// senders would wait for the processors that judge.
func BenchmarkBeside(b *testing.B) {
	url := serveApart(b)
	small, large := paddedReview(4, 4), paddedReview(15_000, 60)
	var alone, beside []time.Duration
	for b.Loop() {
		settle(b, url, large)
		alone = append(alone, waits(b, url, small)...)
		ctx, cancel := context.WithCancel(b.Context())
		var group sync.WaitGroup
		for range 12 {
			group.Go(func() {
				for ctx.Err() == nil {
					_, _ = postReview(ctx, url+"?timeout=3s", large)
				}
			})
		}
		beside = append(beside, waits(b, url, small)...)
		cancel()
		group.Wait()
	}
	a, t := p99(alone), p99(beside)
	b.ReportMetric(a, "alone-p99-ms")
	b.ReportMetric(t, "beside-p99-ms")
	b.ReportMetric(t/a, "ratio")
}

// serveVariable makes a process of this test binary a server, see serveApart.
const serveVariable = "TEKGATE_TEST_SERVE_RULES"

// serveApart starts a server of the rules as a process of its own and returns its URL.
func serveApart(b *testing.B) string {
	b.Helper()
	command := exec.CommandContext(b.Context(), os.Args[0])
	command.Env = append(os.Environ(), serveVariable+"=1")
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = command.Wait() }) // the context has ended it
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// serveRules is the process that serveApart starts.
func serveRules() {
	server := httptest.NewServer(serving(oneRegistry()))
	fmt.Println(server.URL)
	select {}
}

// settle returns when the server has judged what was sent before: a large review is judged
// after all others.
func settle(b *testing.B, url string, large []byte) {
	b.Helper()
	if _, err := postReview(b.Context(), url+"?timeout=30s", large); err != nil {
		b.Fatal(err)
	}
	time.Sleep(time.Second)
}

// waits sends a review a hundred times, at the pace of a busy cluster.
func waits(b *testing.B, url string, body []byte) []time.Duration {
	b.Helper()
	var took []time.Duration
	for range 100 {
		began := time.Now()
		if _, err := postReview(b.Context(), url+"?timeout=10s", body); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		time.Sleep(20 * time.Millisecond)
	}
	return took
}

func p99(took []time.Duration) float64 {
	slices.Sort(took)
	return took[(len(took)*99-1)/100].Seconds() * 1000
}
