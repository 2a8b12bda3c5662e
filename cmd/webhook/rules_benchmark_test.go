package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/mutator"
)

// ruleSections are the configurations in which one rule has something to do with
// the TaskRun of the benchmarks, by its id.
var ruleSections = map[string]string{
	"service-account":    `{serviceAccount: {name: builder}}`,
	"docker-config":      `{}`,
	"kaniko":             `{kaniko: {image: "ghcr.io/osscontainertools/kaniko:v1.28.3", registryMirror: m.example.com, args: [--push-retry=3]}}`,
	"env":                `{env: {set: [{variables: [{name: GOPROXY, value: "https://goproxy.example.com"}]}]}}`,
	"ca-bundle":          `{caBundle: {configMap: tekgate-ca}}`,
	"resources":          `{resources: {set: [{limits: {memory: 1Gi}}]}}`,
	"image-pull-secrets": `{imagePullSecrets: {names: [mirror]}}`,
	"pod-template":       `{podTemplate: {nodeSelector: {builds: "true"}}}`,
	"image-mirror":       `{imageMirror: {enabled: true, mirror: {rules: [{match: docker.io/**, to: "m.example.com/hub/{path}"}, {match: gcr.io/**, to: "m.example.com/gcr/{path}"}, {match: ghcr.io/**, to: "m.example.com/ghcr/{path}"}]}}}`,
	"all":                baseline.Configuration,
}

// ruleMutator returns a mutator with one rule, or all, switched on.
func ruleMutator(t testing.TB, id string) *mutator.Mutator {
	t.Helper()
	config := mutator.Default()
	if err := strict.UnmarshalYAML([]byte(ruleSections[id]), &config); err != nil {
		t.Fatal(err)
	}
	if id != "all" {
		for other, scope := range scopesOf(&config) {
			scope.Disabled = other != id
		}
	}
	m, err := mutator.New(config, (*image.Rules)(nil), everyAccount{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func everyRule() *mutator.Mutator {
	config := mutator.Default()
	if err := strict.UnmarshalYAML([]byte(ruleSections["all"]), &config); err != nil {
		panic(err)
	}
	m, err := mutator.New(config, nil, everyAccount{})
	if err != nil {
		panic(err)
	}
	return m
}

// scopesOf returns the scope of each rule by its id.
func scopesOf(config *mutator.Config) map[string]*mutator.Scope {
	return map[string]*mutator.Scope{
		"service-account": &config.ServiceAccount.Scope, "docker-config": &config.DockerConfig.Scope,
		"kaniko": &config.Kaniko.Scope, "env": &config.Env.Scope,
		"ca-bundle": &config.CABundle.Scope, "resources": &config.Resources.Scope,
		"image-pull-secrets": &config.ImagePullSecrets.Scope, "pod-template": &config.PodTemplate.Scope,
		"image-mirror": &config.ImageMirror.Scope,
	}
}

// BenchmarkRules measures one request within the server, from the body's bytes to
// the answer's: of a handler that allows everything, of each rule alone, of all
// rules, and of the idiom that kubebuilder's users know (decode into Tekton's
// types, encode, compare), which does the work of service-account, env and
// image-mirror. What the network and TLS add is in BenchmarkAdmission.
//
// Beside the usual figures it prints each time as a multiple of the first, which
// therefore is no constant answer: it has read the review.
func BenchmarkRules(b *testing.B) {
	body := benchmarkReview(b)
	var base float64
	measure := func(name string, handler admission.Handler, changes bool) {
		b.Run(name, func(b *testing.B) {
			if res := handler.Handle(b.Context(), decodedReview(b, body)); !res.Allowed ||
				(len(res.Patches)+len(res.Patch) > 0) != changes {
				b.Fatalf("allowed %v with %d patches and %s", res.Allowed, len(res.Patches), res.Patch)
			}
			server := &admit.Webhook{Handler: handler}
			b.ReportAllocs()
			before, n := cpuTime(b), 0
			for b.Loop() {
				serveBody(b, server, body)
				n++
			}
			cpu := float64(cpuTime(b)-before) / float64(n)
			if base == 0 {
				base = cpu
			}
			b.ReportMetric(cpu/1e3, "µs-cpu/op")
			b.ReportMetric(cpu/base, "cpu/null")
		})
	}
	measure("null", admission.HandlerFunc(func(context.Context,
		admission.Request) admission.Response {
		return admission.Allowed("")
	}), false)
	for _, rule := range mutator.Rules {
		if rule.ID == aboutReferences {
			continue
		}
		measure(rule.ID, ruleMutator(b, rule.ID), true)
	}
	measure("all", ruleMutator(b, "all"), true)
	measure("kubebuilder", kubebuilderIdiom(), true)
}

// answered is a connection that forgets what is written to it.
type answered struct {
	header http.Header
	status int
}

func (a *answered) Header() http.Header            { return a.header }
func (a *answered) WriteHeader(status int)         { a.status = status }
func (a *answered) Write(text []byte) (int, error) { return len(text), nil }

// serveBody hands a body to a handler as net/http would.
func serveBody(b *testing.B, handler http.Handler, body []byte) {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/mutate", RawQuery: "timeout=2s"},
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	answer := &answered{header: http.Header{}, status: http.StatusOK}
	handler.ServeHTTP(answer, r)
	if answer.status != http.StatusOK {
		b.Fatalf("answered %d", answer.status)
	}
}

func decodedReview(b *testing.B, body []byte) admission.Request {
	b.Helper()
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		b.Fatal(err)
	}
	return admission.Request{AdmissionRequest: *review.Request}
}

// aboutReferences is the rule that has nothing to do with a run that writes its steps out.
// The scenario 04-many-full compares what it costs.
const aboutReferences = "local-tasks"

// TestRuleSections holds that every rule has a configuration to be measured with.
func TestRuleSections(t *testing.T) {
	raw, err := json.Marshal(baseline.TaskRun())
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range mutator.Rules {
		if rule.ID == aboutReferences {
			continue
		}
		if _, ok := ruleSections[rule.ID]; !ok {
			t.Errorf("the rule %s is measured with no configuration", rule.ID)
			continue
		}
		req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Operation: admissionv1.Create, Namespace: "ci", Object: runtime.RawExtension{Raw: raw},
			Kind: metav1.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "TaskRun"},
		}}
		res := ruleMutator(t, rule.ID).Handle(t.Context(), req)
		if _, did := res.AuditAnnotations[rule.ID]; !did || res.Result.Code != http.StatusOK {
			t.Errorf("the rule %s did nothing: %v", rule.ID, res.AuditAnnotations)
		}
	}
}
