package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestReplicas runs the real program twice behind one address, as a Deployment of
// two replicas does, with failurePolicy Fail, so that a request that the API server
// could not send is one that fails.
func TestReplicas(t *testing.T) {
	b := newCluster(t)
	program := filepath.Join(t.TempDir(), "webhook")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the server: %v\n%s", err, out)
	}
	s := &service{bed: b, program: program, config: write(t, t.TempDir(), "config.yaml", configuredBuilder)}
	s.listen()
	first, second := s.replica(), s.replica()
	b.configure()
	b.create(account("ci"))

	b.Run("an overwritten caBundle", func(t *testing.T) { s.on(t).testDrift(first, second) })
	b.Run("hostile requests", func(t *testing.T) { s.on(t).testHostile(first) })
	b.Run("SIGTERM", func(t *testing.T) { s.on(t).testTermination(first, second) })
}

// service is an address that leads to some replicas in turn, as kube-proxy makes a
// Service: connections stay where they are, and a replica that has gone is learnt
// of a while later.
type service struct {
	*bed
	program, config string

	mu       sync.Mutex
	replicas []*process
	turn     int
}

func (s *service) on(t *testing.T) *service {
	s.bed = s.bed.on(t)
	return s
}

// learnt is how long a node goes on sending connections to a Pod that is no longer
// ready.
const learnt = 3 * time.Second

func (s *service) listen() {
	s.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.forward(conn)
		}
	}()
}

func (s *service) next() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replicas) == 0 {
		return nil
	}
	s.turn++
	return s.replicas[s.turn%len(s.replicas)]
}

func (s *service) forward(conn net.Conn) {
	defer conn.Close()
	p := s.next()
	if p == nil {
		return
	}
	behind, err := net.Dial("tcp", p.address)
	if err != nil {
		return
	}
	defer behind.Close()
	p.connections.Add(1)
	go func() {
		_, _ = io.Copy(behind, conn)
		_ = behind.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, behind)
}

// process is one replica.
type process struct {
	*exec.Cmd
	address, health, metrics string
	logs                     logs
	connections              counter
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Add(n int) { c.mu.Lock(); defer c.mu.Unlock(); c.n += n }

func (c *counter) value() int { c.mu.Lock(); defer c.mu.Unlock(); return c.n }

// replica starts one, and sends it connections once it is ready.
func (s *service) replica(flags ...string) *process {
	s.Helper()
	p := &process{address: freeAddress(s.T), health: freeAddress(s.T), metrics: freeAddress(s.T)}
	p.Cmd = exec.Command(s.program, append([]string{"--kubeconfig", s.kubeconfig, "--config", s.config, "--bind-address", p.address,
		"--health-bind-address", p.health, "--metrics-bind-address", p.metrics, "--recheck", "1h"}, // what is noticed is not by looking
		flags...)...)
	p.Env = append(os.Environ(), "GOMEMLIMIT=200MiB") // as in manifests/tekgate/400-webhook.yaml
	p.Stderr = &p.logs
	if err := p.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = p.Process.Kill() })
	s.eventually("a replica is ready", func() error { return ready(p.health) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas = append(s.replicas, p)
	return p
}

// leave takes a replica out of turn, when it has been unready for long enough.
func (s *service) leave(p *process) {
	for ready(p.health) == nil {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(learnt)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas = slices.DeleteFunc(s.replicas, func(other *process) bool { return other == p })
}

// testDrift overwrites and blanks caBundles, as tools do that know no better: the
// replicas put them back, and between them once.
func (s *service) testDrift(replicas ...*process) {
	for round, name := range []string{"MutatingWebhookConfiguration " + mutatingConfiguration, "ValidatingWebhookConfiguration " + validatingConfiguration} {
		kind, name, _ := strings.Cut(name, " ")
		configuration := s.parse("{apiVersion: admissionregistration.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name + "}}")
		s.get(configuration)
		right := bundleOf(configuration)
		for _, wrong := range []any{nil, "Ym9ndXM="} {
			setBundle(configuration, wrong)
			if err := s.client.Update(s.Context(), configuration); err != nil && wrong == nil {
				s.Fatal(err)
			} else if err != nil {
				continue // the API server takes no bundle that is no certificate
			}
			began := time.Now()
			s.eventually("the caBundle is back", func() error {
				s.get(configuration)
				if got := bundleOf(configuration); got != right {
					return fmt.Errorf("it is %q", got)
				}
				return nil
			})
			if took := time.Since(began); took > 2*time.Second {
				s.Errorf("%s was repaired after %s", name, took)
			}
		}
		var repairs float64
		for _, p := range replicas {
			repairs += s.metric(p, "tekgate_webhook_ca_bundle_repairs_total")
		}
		if repairs < float64(round+1) {
			s.Errorf("after %d overwritten bundles %v repairs were counted", round+1, repairs)
		}
	}
	for _, p := range replicas {
		s.eventually("the replica is ready again", func() error { return ready(p.health) })
	}
}

func bundleOf(configuration *unstructured.Unstructured) string {
	hook := configuration.Object["webhooks"].([]any)[0].(map[string]any)
	bundle, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle")
	return bundle
}

func setBundle(configuration *unstructured.Unstructured, bundle any) {
	client := configuration.Object["webhooks"].([]any)[0].(map[string]any)["clientConfig"].(map[string]any)
	if client["caBundle"] = bundle; bundle == nil {
		delete(client, "caBundle")
	}
}

// testTermination ends one replica and then, when a new one has come, the other,
// while TaskRuns are created.
func (s *service) testTermination(first, second *process) {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	seen := &rotation{bed: s.bed}
	var working sync.WaitGroup
	for worker := range 4 {
		working.Go(func() { seen.create(ctx, worker) })
	}
	time.Sleep(time.Second)
	s.end(first)
	third := s.replica()
	s.end(second)
	time.Sleep(time.Second)
	before := s.metric(third, `tekgate_webhook_requests_total{code="200",path="/mutate"}`)
	time.Sleep(time.Second)
	cancel()
	working.Wait()
	after := s.metric(third, `tekgate_webhook_requests_total{code="200",path="/mutate"}`)
	s.Logf("%d TaskRuns created; connections: %d, %d, %d", seen.created, first.connections.value(), second.connections.value(), third.connections.value())
	if len(seen.problems) > 0 {
		s.Errorf("of %d requests some failed:\n%s\n%s", seen.created, strings.Join(seen.problems, "\n"), first.logs.String())
	}
	if seen.created < 300 || after <= before || first.connections.value() == 0 || second.connections.value() == 0 {
		s.Errorf("%d requests, the last replica went from %v to %v: too few to prove anything", seen.created, before, after)
	}
	if n := s.metric(third, `tekgate_webhook_requests_in_flight{path="/mutate"}`); n != 0 {
		s.Errorf("%v requests are in flight when nobody asks", n)
	}
	if s.metric(third, "go_goroutines ") == 0 {
		s.Error("the metrics tell nothing of the process")
	}
	expires := time.Unix(int64(s.metric(third, `tekgate_webhook_certificate_expiry_timestamp_seconds{certificate="ca"}`)), 0)
	if years := time.Until(expires).Hours() / 24 / 365; years < 9 || years > 11 {
		s.Errorf("the CA's metric says that it expires at %s", expires)
	}
}

// end sends SIGTERM and waits until the process has ended by itself.
func (s *service) end(p *process) {
	s.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		s.Fatal(err)
	}
	began := time.Now()
	s.leave(p)
	if err := p.Wait(); err != nil {
		s.Errorf("the server ends with %v:\n%s", err, p.logs.String())
	}
	s.Logf("ended after %s", time.Since(began).Round(100*time.Millisecond))
}

// metric is the sum of a process's series whose text begins so.
func (s *service) metric(p *process, prefix string) (sum float64) {
	s.Helper()
	res, err := http.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		_, digits, _ := strings.Cut(line, " ")
		value, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil {
			s.Fatal(err)
		}
		sum += value
	}
	return sum
}
