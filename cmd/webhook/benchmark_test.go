package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/serve"
	"github.com/tekgate/tekgate/mutator"
)

// BenchmarkAdmission sends one TaskRun of four steps, one of them Kaniko's, over
// HTTP/1.1 with TLS and a kept connection, as an API server does, to the handlers
// of one server: one that answers with a constant; ours, with two rules that have
// something to do and with all; and the one that kubebuilder would have made. Beside the usual figures it reports
// requests per second, the CPU time of client and server together per request,
// and both times as multiples of the constant answer's.
//
// Figures of one run can be compared with each other, not with those of another
// machine; take -count 5 and the medians.
func BenchmarkAdmission(b *testing.B) {
	address := benchmarkServer(b, map[string]http.Handler{
		"/null":        http.HandlerFunc(answerNothing),
		"/tekgate":     &admit.Webhook{Handler: benchmarkMutator()},
		"/all":         &admit.Webhook{Handler: everyRule()},
		"/kubebuilder": &admission.Webhook{Handler: kubebuilderIdiom()},
	})
	body := benchmarkReview(b)
	caller := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // what is measured is not trust
	}}
	defer caller.CloseIdleConnections()
	var null cost
	for _, name := range []string{"null", "tekgate", "all", "kubebuilder"} {
		b.Run(name, func(b *testing.B) {
			one := measure(b, caller, "https://"+address+"/"+name, body)
			if name == "null" {
				null = one
			}
			b.ReportMetric(1e9/one.wall, "req/s")
			b.ReportMetric(one.cpu/1e3, "µs-cpu/op")
			b.ReportMetric(one.wall/null.wall, "wall/null")
			b.ReportMetric(one.cpu/null.cpu, "cpu/null")
		})
	}
}

// cost is that of one request, in nanoseconds.
type cost struct{ wall, cpu float64 }

func measure(b *testing.B, caller *http.Client, url string, body []byte) cost {
	b.Helper()
	b.ReportAllocs()
	before, n := cpuTime(b), 0
	for b.Loop() {
		res, err := caller.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Contains(answer, []byte(`"allowed":true`)) || res.ProtoMajor != 1 {
			b.Fatalf("got %s over %s, error %v", answer, res.Proto, err)
		}
		n++
	}
	return cost{wall: float64(b.Elapsed()) / float64(n), cpu: float64(cpuTime(b)-before) / float64(n)}
}

func cpuTime(b testing.TB) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// answerNothing is the least that a webhook can do.
func answerNothing(rw http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	rw.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(rw, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"u","allowed":true}}`)
}

func benchmarkMutator() *mutator.Mutator {
	config := mutator.Default()
	config.ServiceAccount.Name = "builder"
	m, err := mutator.New(config, nil, everyAccount{})
	if err != nil {
		panic(err)
	}
	return m
}

// everyAccount is a cluster in which each ServiceAccount exists and has a Secret.
type everyAccount struct{}

func (everyAccount) Namespace(context.Context, string) (*mutator.Namespace, error) {
	return &mutator.Namespace{}, nil
}

func (everyAccount) ServiceAccount(context.Context, string, string) (*mutator.Account, error) {
	return &mutator.Account{Secrets: []string{"registry"}}, nil
}

func (everyAccount) WorkloadIdentity(context.Context, string, []string) (string, error) {
	return "", nil
}

func (everyAccount) Task(context.Context, string, string) (map[string]any, error) { return nil, nil }
func (everyAccount) Tekton(context.Context) mutator.Tekton                        { return mutator.Tekton{} }

// kubebuilderIdiom does the same job the way generated webhooks do it: through
// Tekton's Go types and back.
func kubebuilderIdiom() admission.Handler {
	scheme := runtime.NewScheme()
	if err := pipelinev1.AddToScheme(scheme); err != nil {
		panic(err)
	}
	decoder := admission.NewDecoder(scheme)
	return admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		run := &pipelinev1.TaskRun{}
		if err := decoder.Decode(req, run); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		run.Spec.ServiceAccountName = "builder"
		for i, step := range run.Spec.TaskSpec.Steps {
			if strings.Contains(step.Image, "kaniko") {
				run.Spec.TaskSpec.Steps[i].Env = append(step.Env, corev1.EnvVar{Name: "DOCKER_CONFIG", Value: "/tekton/creds/.docker"})
			}
		}
		changed, err := json.Marshal(run)
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		return admission.PatchResponseFromRaw(req.Object.Raw, changed)
	})
}

// benchmarkServer serves with the server and the kind of key of the real one.
func benchmarkServer(b *testing.B, handlers map[string]http.Handler) string {
	b.Helper()
	address := freeAddress(b)
	certificate := selfSigned(b)
	server := serve.New(serve.Options{
		Address: address, Log: logr.Discard(), Requests: serve.NewRequests("benchmark"), Handshakes: serve.NewHandshakes("benchmark"),
		TLS: func(c *tls.Config) {
			c.NextProtos = []string{"http/1.1"}
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
		},
	})
	for path, handler := range handlers {
		server.Register(path, handler)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.Cleanup(stop)
	go func() { _ = server.Start(ctx) }()
	for server.StartedChecker()(nil) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	return address
}

func selfSigned(b testing.TB) *tls.Certificate {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// benchmarkTaskRun is a usual one, managed fields and all.
func benchmarkTaskRun() map[string]any {
	step := func(name, image string) map[string]any {
		return map[string]any{
			"name": name, "image": image,
			"args":             []string{"--context=$(workspaces.source.path)", "--destination=registry.example.com/team/app:v1"},
			"env":              []map[string]any{{"name": "GOFLAGS", "value": "-mod=vendor"}, {"name": "CGO_ENABLED", "value": "0"}},
			"computeResources": map[string]any{"requests": map[string]any{"cpu": "500m", "memory": "512Mi"}},
		}
	}
	deploy := step("deploy", "bitnami/kubectl:1.33")
	delete(deploy, "computeResources")
	var owned strings.Builder
	for i := range 12 {
		fmt.Fprintf(&owned, `"f:field%d":{},`, i)
	}
	return map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{
			"generateName": "build-", "namespace": "ci", "uid": "00000000-0000-0000-0000-000000000001", "generation": 1,
			"labels": map[string]any{"app.kubernetes.io/name": "app"},
			"managedFields": []map[string]any{{"manager": "kubectl-create", "operation": "Update", "apiVersion": "tekton.dev/v1",
				"fieldsType": "FieldsV1", "fieldsV1": json.RawMessage(`{"f:spec":{` + strings.TrimSuffix(owned.String(), ",") + `}}`)}},
		},
		"spec": map[string]any{
			"workspaces": []map[string]any{{"name": "source", "emptyDir": map[string]any{}}},
			"taskSpec": map[string]any{
				"workspaces": []map[string]any{{"name": "source"}},
				"steps": []map[string]any{
					step("fetch", "alpine/git:v2.49.0"), step("test", "golang:1.26"),
					step("build", "gcr.io/kaniko-project/executor:v1.24.0"), deploy,
				},
			},
		},
	}
}

// benchmarkReview is what an API server sends for it.
func benchmarkReview(b *testing.B) []byte {
	b.Helper()
	body, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "u", "operation": "CREATE", "namespace": "ci",
			"kind":        map[string]any{"group": "tekton.dev", "version": "v1", "kind": "TaskRun"},
			"resource":    map[string]any{"group": "tekton.dev", "version": "v1", "resource": "taskruns"},
			"requestKind": map[string]any{"group": "tekton.dev", "version": "v1", "kind": "TaskRun"},
			"userInfo":    map[string]any{"username": "system:serviceaccount:ci:default", "groups": []string{"system:authenticated"}},
			"object":      benchmarkTaskRun(), "oldObject": nil, "dryRun": false,
			"options": map[string]any{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return body
}
