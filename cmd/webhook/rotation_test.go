package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// testRotation replaces the CA while TaskRuns are created, with failurePolicy Fail,
// so that a request that the API server could not send is one that fails. Another
// replica takes part.
func (b *bed) testRotation() {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: wellknown.WebhookCA}}
	b.get(secret)
	old := secret.Data[corev1.TLSCertKey]
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	other := b.replica(ctx)
	seen := &rotation{bed: b, old: old}
	var working sync.WaitGroup
	for worker := range 4 {
		working.Go(func() { seen.create(ctx, worker) })
	}
	working.Go(func() { seen.shake(ctx) })

	time.Sleep(time.Second)
	patch := client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"`+wellknown.RotateKey+`":"now"}}}`))
	if err := b.client.Patch(b.Context(), secret, patch); err != nil {
		b.Fatal(err)
	}
	b.eventually("both replicas serve what the new CA signed", func() error {
		leaf, err := other.GetCertificate(nil)
		if err != nil {
			return err
		}
		if _, switched := seen.times(); switched.IsZero() || servers.Signed(leaf.Leaf, old) {
			return fmt.Errorf("the old CA signs still, a new one is published since %v", seen.published)
		}
		return nil
	})
	time.Sleep(time.Second) // with what is there now
	b.eventually("enough was asked", func() error { return seen.enough(60) })
	cancel()
	working.Wait()
	seen.check()
}

// replica is the part of another process that keeps the CA.
func (b *bed) replica(ctx context.Context) *certs.Authority {
	b.Helper()
	authority, err := certs.Load(ctx, certs.Options{Client: b.client, Namespace: "tekgate", Name: wellknown.WebhookCA,
		DNSNames: []string{"localhost"}, Overlap: testOverlap})
	if err != nil {
		b.Fatal(err)
	}
	i := &injector{client: b.client, authority: authority, interval: 200 * time.Millisecond, log: logr.Discard(),
		metrics: b.measures(), alarm: b.alarm(),
		listening: func(*http.Request) error { return nil }}
	go func() { _ = i.Start(ctx) }() // it never fails
	return authority
}

// rotation is what was seen of one.
type rotation struct {
	*bed
	old []byte // the CA before it, as PEM

	mu        sync.Mutex
	created   int
	shaken    int
	problems  []string
	published time.Time // when both configurations had another CA beside the old one
	switched  time.Time // when the server served what that one had signed
}

func (r *rotation) times() (published, switched time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.published, r.switched
}

// note counts one try, unless the test is over.
func (r *rotation) note(ctx context.Context, count *int, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	*count++
	if err != nil && len(r.problems) < 10 {
		r.problems = append(r.problems, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

// create creates TaskRuns until ctx ends.
func (r *rotation) create(ctx context.Context, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		run := r.parse(kaniko(fmt.Sprintf("rotated-%d-%d", worker, i), "v1"))
		err := r.client.Create(ctx, run)
		if err == nil && environment(run) != injected {
			err = fmt.Errorf("%s was created without what the rules give it", run.GetName())
		}
		r.note(ctx, &r.created, err)
	}
}

// shake makes new connections until ctx ends, as an API server does that has just
// read a configuration: it trusts the bundle in there and nothing else.
func (r *rotation) shake(ctx context.Context) {
	for ctx.Err() == nil {
		mutating, err := servers.Bundle(ctx, r.client, "MutatingWebhookConfiguration", wellknown.MutatingConfiguration)
		if err != nil {
			r.note(ctx, &r.shaken, err)
			continue
		}
		validating, err := servers.Bundle(ctx, r.client, "ValidatingWebhookConfiguration",
			wellknown.ValidatingConfiguration)
		if err != nil {
			r.note(ctx, &r.shaken, err)
			continue
		}
		for _, bundle := range [][]byte{mutating, validating} {
			leaf, err := servers.Handshake(ctx, r.address, bundle)
			r.note(ctx, &r.shaken, err)
			if err == nil {
				r.see(leaf, mutating, validating)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *rotation) see(leaf *x509.Certificate, bundles ...[]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	more := true
	for _, bundle := range bundles {
		more = more && bytes.Count(bundle, []byte("BEGIN CERTIFICATE")) > 1
	}
	if more && r.published.IsZero() {
		r.published = time.Now()
	}
	if !servers.Signed(leaf, r.old) && r.switched.IsZero() {
		r.switched = time.Now()
	}
}

// enough reports, as an error, that too few TaskRuns or connections were made so far.
func (r *rotation) enough(connections int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.created < manyRuns || r.shaken < connections {
		return fmt.Errorf("%d TaskRuns and %d connections are too few", r.created, r.shaken)
	}
	return nil
}

// manyRuns are enough TaskRuns to notice that requests are lost.
const manyRuns = 300

func (r *rotation) check() {
	r.Helper()
	r.Logf("%d TaskRuns created, %d connections made, %s from the new bundle to the new certificate", r.created,
		r.shaken, r.switched.Sub(r.published))
	if len(r.problems) > 0 {
		r.Errorf("while the CA was replaced:\n%s\n%s", strings.Join(r.problems, "\n"), r.logs)
	}
	// The moment of publishing is noted in whole seconds, rounded down.
	if least := testOverlap - time.Second; r.published.IsZero() || r.switched.Sub(r.published) < least {
		r.Errorf("the new CA signs since %v and was published %v, want %s between them", r.switched, r.published, least)
	}
	bundle, err := servers.Bundle(r.Context(), r.client, "MutatingWebhookConfiguration",
		wellknown.MutatingConfiguration)
	if err != nil {
		r.Fatal(err)
	}
	if !bytes.Contains(bundle, r.old) {
		r.Error("the old CA has gone from the bundle, although what it signed may be served still")
	}
}

// testUnpublished asks for a new CA where one of the two configurations is missing: it
// is made, and never signs, for the API server could not trust it.
func (b *bed) testUnpublished() {
	half := b.parse(
		"{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: mutate.tekgate.dev}}")
	b.create(half)
	defer func() {
		if err := b.client.Delete(context.Background(), half); err != nil {
			b.Error(err)
		}
	}()
	const name = "unpublished-ca" // of nobody else
	authority, err := certs.Load(b.Context(), certs.Options{Client: b.client, Namespace: "tekgate", Name: name,
		DNSNames: []string{"localhost"}, Overlap: testOverlap})
	if err != nil {
		b.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: name}}
	b.get(secret)
	old := secret.Data[corev1.TLSCertKey]
	patch := client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"`+wellknown.RotateKey+`":"now"}}}`))
	if err := b.client.Patch(b.Context(), secret, patch); err != nil {
		b.Fatal(err)
	}
	i := &injector{client: b.client, authority: authority, metrics: b.measures(), alarm: b.alarm()}
	for end := time.Now().Add(testOverlap + 2*time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err := i.inject(b.Context()); err == nil ||
			!strings.Contains(err.Error(), "ValidatingWebhookConfiguration validate.tekgate.dev: there is none") {
			b.Fatalf("got error %v", err)
		}
	}
	b.get(secret)
	if len(secret.Data["next.crt"]) == 0 || !bytes.Equal(secret.Data[corev1.TLSCertKey], old) {
		b.Errorf("a CA signs that nobody was told of; the Secret has %d bytes of a next one",
			len(secret.Data["next.crt"]))
	}
}
