package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// issuedSecret is where cert-manager puts the server's certificate.
const issuedSecret = "tekgate-webhook-tls"

// TestSources changes, while TaskRuns are created, from the servers' own CA to
// cert-manager, has that replace its CA, and changes back, each by a roll-out of two
// replicas with the rights that an installation gives them. FailurePolicy is Fail.
func TestSources(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	controllers := certmanager.Start(t, b.cluster)
	s := b.service()
	flags := []string{"--recheck", "500ms", "--ca-overlap", testOverlap.String(), "--drain", "8s"}
	running := []*process{s.replica(flags...), s.replica(flags...)}
	b.configure()
	b.create(account("ci"))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := &rotation{bed: b}
	var working sync.WaitGroup
	for worker := range 4 {
		working.Go(func() { seen.create(ctx, worker) })
	}
	working.Go(func() { seen.shake(ctx) })
	defer func() {
		if t.Failed() {
			for _, p := range running {
				t.Logf("a replica said:\n%s", p.Logs)
			}
			t.Logf("cert-manager said:\n%s", controllers.Log())
		}
	}()

	ownCA := b.secret(wellknown.WebhookCA).Data[corev1.TLSCertKey]
	s.request()
	running = s.rollOut(running, append(flags, "--certificate-secret", issuedSecret)...)
	first := b.secret(issuedSecret).Data["ca.crt"]
	s.serves(running, "what cert-manager issued", first)
	b.bundled(ownCA, first)

	b.renew("tekgate-ca", func(secret *corev1.Secret) []byte { return secret.Data[corev1.TLSCertKey] })
	second := b.renew(issuedSecret, func(secret *corev1.Secret) []byte { return secret.Data["ca.crt"] })
	s.serves(running, "what cert-manager's new CA signed", second)
	b.bundled(ownCA, first, second)

	running = s.rollOut(running, flags...)
	s.serves(running, "what the own CA signed", ownCA)
	b.bundled(ownCA, first, second)

	b.eventually("enough was asked", func() error { return seen.enough(60) })
	cancel()
	working.Wait()
	t.Logf("%d TaskRuns created, %d connections made", seen.created, seen.shaken)
	if len(seen.problems) > 0 {
		t.Errorf("while the source of certificates was changed:\n%s", strings.Join(seen.problems, "\n"))
	}
}

func (b *bed) secret(name string) *corev1.Secret {
	b.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: name}}
	b.get(secret)
	return secret
}

// request applies what an installation asks cert-manager for, with the address that
// this test calls the Service by.
func (s *service) request() {
	s.Helper()
	files, err := filepath.Glob("../../manifests/certmanager/*.yaml")
	if err != nil || len(files) < 2 {
		s.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			object := s.parse(document)
			if object.GetName() == issuedSecret {
				object.Object["spec"].(map[string]any)["ipAddresses"] = []any{"127.0.0.1"}
			}
			s.create(object)
		}
	}
}

// rollOut replaces replicas one by one, as a Deployment with maxUnavailable 0 does: a
// new one is sent connections when it is ready, and only then an old one ends.
func (s *service) rollOut(old []*process, flags ...string) []*process {
	s.Helper()
	var fresh []*process
	for _, p := range old {
		began := time.Now()
		fresh = append(fresh, s.replica(flags...))
		s.Logf("a replica is ready after %s", time.Since(began).Round(100*time.Millisecond))
		s.end(p)
	}
	return fresh
}

// serves waits until all replicas serve what a CA signed.
func (s *service) serves(replicas []*process, what string, ca []byte) {
	s.Helper()
	for _, p := range replicas {
		s.eventually("a replica serves "+what, func() error {
			_, err := servers.Handshake(s.Context(), p.Backend.Address, ca)
			return err
		})
	}
}

// bundled holds that both configurations vouch for all of the CAs.
func (b *bed) bundled(cas ...[]byte) {
	b.Helper()
	for kind, name := range map[string]string{"MutatingWebhookConfiguration": wellknown.MutatingConfiguration,
		"ValidatingWebhookConfiguration": wellknown.ValidatingConfiguration} {
		bundle, err := servers.Bundle(b.Context(), b.client, kind, name)
		if err != nil {
			b.Fatal(err)
		}
		for i, ca := range cas {
			if !bytes.Contains(bundle, ca) {
				b.Errorf("the bundle of %s lacks CA %d of %d", name, i+1, len(cas))
			}
		}
	}
}

// renew has cert-manager issue a Certificate again, as `cmctl renew` does, and returns
// the part of its Secret that is another one then.
func (b *bed) renew(name string, part func(*corev1.Secret) []byte) []byte {
	b.Helper()
	before := part(b.secret(name))
	certificate := &unstructured.Unstructured{}
	certificate.SetAPIVersion("cert-manager.io/v1")
	certificate.SetKind("Certificate")
	certificate.SetNamespace("tekgate")
	certificate.SetName(name)
	b.eventually(name+" can be renewed", func() error {
		b.get(certificate)
		conditions, _, _ := unstructured.NestedSlice(certificate.Object, "status", "conditions")
		conditions = append(conditions, map[string]any{
			"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by a test",
			"lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
			"observedGeneration": certificate.GetGeneration(),
		})
		if err := unstructured.SetNestedSlice(certificate.Object, conditions, "status", "conditions"); err != nil {
			return err
		}
		return b.client.Status().Update(b.Context(), certificate)
	})
	var after []byte
	b.eventually(name+" is renewed", func() error {
		if after = part(b.secret(name)); bytes.Equal(after, before) {
			return fmt.Errorf("it is what it was")
		}
		return nil
	})
	return after
}
