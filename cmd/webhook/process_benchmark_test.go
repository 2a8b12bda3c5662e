package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/drain"
	"github.com/tekgate/tekgate/internal/server"
)

// servedArm names the arm that a process of this test serves, see TestServedArm.
const servedArm = "TEKGATE_BENCHMARK_ARM"

// rounds are how often each arm has its turn.
const rounds = 7

// BenchmarkProcess measures what BenchmarkAdmission does, but each server is a
// process of its own, so that its CPU time is nobody else's: a server of net/http
// that reads the body and answers 1,500 bytes; and ours, as cmd/webhook puts it
// together, with the rules that are on by default and with all. The arms take turns,
// and what is reported is the median of their rounds, also as a multiple of the first.
func BenchmarkProcess(b *testing.B) { compareArms(b, false, 2000, "null", "default", "all") }

// BenchmarkHandshake is BenchmarkProcess with a connection for each request.
func BenchmarkHandshake(b *testing.B) { compareArms(b, true, 300, "null", "default") }

func compareArms(b *testing.B, handshakes bool, asked int, names ...string) {
	body := benchmarkReview(b)
	caller := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: handshakes, // trust is not measured
	}}
	defer caller.CloseIdleConnections()
	arms := map[string]*arm{}
	for _, name := range names {
		arms[name] = startArm(b, name)
		arms[name].ask(b, caller, body, asked)
	}
	for range rounds {
		for _, name := range names {
			before := arms[name].cpu(b, caller)
			arms[name].ask(b, caller, body, asked)
			arms[name].took = append(arms[name].took, float64(arms[name].cpu(b, caller)-before)/float64(asked)/1e3)
		}
	}
	null := arms["null"].median()
	for _, name := range names {
		took := arms[name].took
		b.Run(name, func(b *testing.B) {
			b.ReportMetric(0, "ns/op") // which would be that of one loop
			b.ReportMetric(arms[name].median(), "µs-cpu/request")
			b.ReportMetric(slices.Min(took), "µs-least")
			b.ReportMetric(arms[name].median()/null, "cpu/null")
		})
	}
}

// arm is a server in a process of its own.
type arm struct {
	url  string
	took []float64 // µs of CPU for a request, by round
}

func (a *arm) median() float64 { return slices.Sorted(slices.Values(a.took))[len(a.took)/2] }

func startArm(b *testing.B, name string) *arm {
	b.Helper()
	process := exec.Command(os.Args[0], "-test.run", "^TestServedArm$")
	process.Env = append(os.Environ(), servedArm+"="+name,
		"GOMEMLIMIT=200MiB") // as in manifests/tekgate/400-webhook.yaml
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return &arm{url: "https://" + address[:len(address)-1]}
}

// ask sends the review so many times.
func (a *arm) ask(b *testing.B, caller *http.Client, body []byte, asked int) {
	b.Helper()
	for range asked {
		res, err := caller.Post(a.url+"/mutate?timeout=10s", "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Contains(answer, []byte(`"allowed":true`)) || res.ProtoMajor != 1 {
			b.Fatalf("got %s over %s, error %v", answer, res.Proto, err)
		}
	}
}

// cpu asks a server for the CPU time that it has taken.
func (a *arm) cpu(b *testing.B, caller *http.Client) time.Duration {
	b.Helper()
	res, err := caller.Get(a.url + "/cpu")
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	nanoseconds, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(nanoseconds)
}

// TestServedArm is a server of BenchmarkProcess until it is killed.
func TestServedArm(t *testing.T) {
	name := os.Getenv(servedArm)
	if name == "" {
		t.Skip("this is no test: BenchmarkProcess runs it in a process of its own")
	}
	address, certificate := freeAddress(t), selfSigned(t)
	cpu := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(rw, int64(cpuTime(t))) })
	setTLS := func(c *tls.Config) {
		c.NextProtos = []string{"http/1.1"}
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	if name == "null" {
		serveNull(t, address, cpu, setTLS)
		return
	}
	counts, err := newMeasures(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	rules := benchmarkMutator()
	if name == "all" {
		rules = everyRule()
	}
	rules.Observe = counts.observe
	webhooks := server.NewWebhooks(server.Options{Address: address, Log: logr.Discard(), Requests: counts.requests,
		Handshakes: counts.handshakes, TLS: setTLS})
	requests, serving := drain.Watch(context.Background(), 0)
	mutate := admit.NewBudget(admit.BudgetBytes).Handler(&admit.Webhook{Handler: admission.HandlerFunc(rules.Handle)})
	webhooks.Register("/mutate", requests.Handler(mutate))
	webhooks.Register("/cpu", cpu)
	time.AfterFunc(100*time.Millisecond, func() { fmt.Println(address) })
	t.Fatal(webhooks.Start(serving))
}

// serveNull serves the least that a webhook can be.
func serveNull(t *testing.T, address string, cpu http.Handler, setTLS func(*tls.Config)) {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	setTLS(config)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte(fmt.Sprintf(
		`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"u","allowed":true,"warnings":["%01400d"]}}`, 0))
	mux := http.NewServeMux()
	mux.Handle("/cpu", cpu)
	mux.HandleFunc("/mutate", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write(answer)
	})
	time.AfterFunc(100*time.Millisecond, func() { fmt.Println(address) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	t.Fatal(server.Serve(tls.NewListener(listener, config)))
}
