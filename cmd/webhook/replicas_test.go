package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// TestReplicas runs the real program twice behind one address, as a Deployment of
// two replicas does, with failurePolicy Fail, so that a request that the API server
// could not send is one that fails.
func TestReplicas(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	s := b.service()
	first, second := s.replica(), s.replica()
	b.configure()
	b.create(account("ci"))

	b.Run("an overwritten caBundle", func(t *testing.T) { s.on(t).testDrift(first, second) })
	b.Run("hostile requests", func(t *testing.T) { s.on(t).testHostile(first) })
	b.Run("SIGTERM", func(t *testing.T) { s.on(t).testTermination(first, second) })
}

// service is some replicas of the server and the address that leads to them.
type service struct {
	*bed
	*servers.Service
	program, config string
}

// service makes one without any replica.
func (b *bed) service() *service {
	b.Helper()
	address, err := servers.Listen(b.Context(), b.address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { address.Close() })
	return &service{bed: b, Service: address, program: programOf(b.T),
		config: write(b.T, b.TempDir(), "config.yaml", configuredBuilder)}
}

func (s *service) on(t *testing.T) *service {
	s.bed = s.bed.on(t)
	return s
}

// process is one replica.
type process struct {
	*servers.Replica
	*servers.Backend
}

// replica starts one, and sends it connections once it is ready.
func (s *service) replica(flags ...string) *process {
	s.Helper()
	p, err := servers.Start(s.Context(), servers.Options{
		Program: s.program, Kubeconfig: s.kubeconfig, Config: s.config,
		Args: append([]string{"--recheck", "1h"}, flags...), // what is noticed is not by looking
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(p.Kill)
	return &process{Replica: p, Backend: s.Add(p.Address)}
}

// testDrift overwrites and blanks caBundles, as tools do that know no better: the
// replicas put them back, and between them once.
func (s *service) testDrift(replicas ...*process) {
	for round, name := range []string{"MutatingWebhookConfiguration " + wellknown.MutatingConfiguration,
		"ValidatingWebhookConfiguration " + wellknown.ValidatingConfiguration} {
		kind, name, _ := strings.Cut(name, " ")
		configuration := s.parse(
			"{apiVersion: admissionregistration.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name + "}}")
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
		s.eventually("the replica is ready again", func() error { return p.Ready(s.Context()) })
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
	s.eventually("enough was asked", func() error { return seen.enough(0) })
	cancel()
	working.Wait()
	after := s.metric(third, `tekgate_webhook_requests_total{code="200",path="/mutate"}`)
	s.Logf("%d TaskRuns created; connections: %d, %d, %d", seen.created, first.Connections.Load(),
		second.Connections.Load(), third.Connections.Load())
	if len(seen.problems) > 0 {
		s.Errorf("of %d requests some failed:\n%s\n%s", seen.created, strings.Join(seen.problems, "\n"), first.Logs)
	}
	if seen.created < manyRuns || after <= before || first.Connections.Load() == 0 || second.Connections.Load() == 0 {
		s.Errorf("%d requests, the last replica went from %v to %v: too few to prove anything", seen.created, before,
			after)
	}
	s.eventually("no request is in flight after the last answer", func() error {
		if n := s.metric(third, `tekgate_webhook_requests_in_flight{path="/mutate"}`); n != 0 {
			return fmt.Errorf("there are %v", n)
		}
		return nil
	})
	if s.metric(third, "go_goroutines ") == 0 {
		s.Error("the metrics tell nothing of the process")
	}
	expires := time.Unix(int64(s.metric(third,
		`tekgate_webhook_certificate_expiry_timestamp_seconds{certificate="ca"}`)), 0)
	if years := time.Until(expires).Hours() / 24 / 365; years < 9 || years > 11 {
		s.Errorf("the CA's metric says that it expires at %s", expires)
	}
}

// end sends SIGTERM and waits until the process has ended by itself.
func (s *service) end(p *process) {
	s.Helper()
	if err := p.Terminate(); err != nil {
		s.Fatal(err)
	}
	began := time.Now()
	s.Leave(s.Context(), p.Backend, p.Ready)
	if err := p.Ended(s.Context()); err != nil {
		s.Errorf("the server ends with %v:\n%s", err, p.Logs)
	}
	s.Logf("ended after %s", time.Since(began).Round(100*time.Millisecond))
}

// metric is the sum of a process's series whose text begins so.
func (s *service) metric(p *process, prefix string) float64 {
	s.Helper()
	sum, err := p.Metric(s.Context(), prefix)
	if err != nil {
		s.Fatal(err)
	}
	return sum
}
