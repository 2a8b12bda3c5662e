package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/server"
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
		"/null":        baseline.Null([]byte(baseline.Nothing)),
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
func (everyAccount) StepAction(context.Context, string, string) (map[string]any, error) {
	return nil, nil
}
func (everyAccount) Verifies(context.Context, string) (bool, error) { return false, nil }
func (everyAccount) ConfigMap(context.Context, string, string) (*mutator.ConfigMap, error) {
	return &mutator.ConfigMap{Keys: []string{"ca.crt"}}, nil
}
func (everyAccount) Entrypoints(context.Context) *entrypoint.Table { return nil }
func (everyAccount) Tekton(context.Context) mutator.Tekton         { return mutator.Tekton{} }

// kubebuilderIdiom is the handler that generated webhooks have.
func kubebuilderIdiom() admission.Handler {
	handler, err := baseline.Kubebuilder()
	if err != nil {
		panic(err)
	}
	return handler
}

// benchmarkServer serves with the server and the kind of key of the real one.
func benchmarkServer(b *testing.B, handlers map[string]http.Handler) string {
	b.Helper()
	address := freeAddress(b)
	certificate := selfSigned(b)
	webhooks := server.NewWebhooks(server.Options{
		Address: address, Log: logr.Discard(), Requests: server.NewRequests("benchmark"),
		Handshakes: server.NewHandshakes("benchmark"),
		TLS: func(c *tls.Config) {
			c.NextProtos = []string{"http/1.1"}
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
		},
	})
	for path, handler := range handlers {
		webhooks.Register(path, handler)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.Cleanup(stop)
	go func() { _ = webhooks.Start(ctx) }()
	for webhooks.StartedChecker()(nil) != nil {
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

// benchmarkReview is what an API server sends for the TaskRun of the benchmarks.
func benchmarkReview(b *testing.B) []byte {
	b.Helper()
	body, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		b.Fatal(err)
	}
	return body
}
