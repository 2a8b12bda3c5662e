package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/certs"
)

const (
	rotationRate    = 200 // requests a second
	rotationWidth   = 32
	rotationOverlap = 3 * time.Second
)

func rotation() benchmark {
	return benchmark{
		ID: "B9", Title: "The CA and the certificates are replaced",
		Load: "200 TaskRuns a second are created with `dryRun=All` through the API server, with failurePolicy Fail, while both replicas replace the CA and then their certificates; " +
			"somebody else makes a new connection every 20 ms and trusts the live caBundle alone. The old and the new CA overlap for three seconds and not for five minutes, so that it can be waited for.",
		Silent: "The peers: Gatekeeper reads its certificate from a mounted Secret, which takes a kubelet, and its authors measured 20 s of failures (open-policy-agent/cert-controller#559).",
		Goals: []Goal{
			{Text: "failed requests", What: "failed while the CA was replaced", Over: armOurs, AtMost: limit(0)},
			{Text: "failed connections", What: "connections that failed meanwhile", Over: armOurs, AtMost: limit(0)},
		},
		Run: b9,
	}
}

// b9 replaces the CA of two replicas under load, once in a round.
func b9(ctx context.Context, b *bed) ([]Figure, error) {
	p, err := newPlane(ctx, b, armOurs)
	if err != nil {
		return nil, err
	}
	defer p.close()
	d, err := p.deploy(ctx, b, armOurs, "--recheck", "300ms", "--ca-overlap", rotationOverlap.String())
	if err != nil {
		return nil, err
	}
	first := d.last
	if err := d.another(ctx); err != nil {
		return nil, err
	}
	var replicas []*servers.Replica
	for _, m := range []member{first, d.last} {
		if e, ok := m.(ending); ok {
			replicas = append(replicas, e.Replica)
		}
	}
	if err := d.works(ctx, p); err != nil {
		return nil, err
	}
	l := &ledger{id: "B9"}
	for round := range b.rounds {
		b.tell("B9", round)
		if err := p.rotate(ctx, b, l, d, replicas); err != nil {
			return nil, err
		}
	}
	return l.figures, nil
}

// rotate replaces the CA once, under load.
func (p *plane) rotate(ctx context.Context, b *bed, l *ledger, d *deployment, replicas []*servers.Replica) error {
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	creates, shakes := make(chan sample, 1), make(chan sample, 1)
	began := time.Now()
	go func() {
		creates <- pace(loaded, rotationRate, rotationWidth, func(ctx context.Context) (time.Duration, error) { return d.send(ctx, p) })
	}()
	go func() {
		shakes <- pace(loaded, 50, 1, func(ctx context.Context) (time.Duration, error) { return p.shake(ctx, d.Address()) })
	}()
	time.Sleep(time.Second)
	err := p.replaceCA(ctx, replicas)
	time.Sleep(time.Second) // with what is there now
	stop()
	created, shaken, span := <-creates, <-shakes, time.Since(began)
	if err != nil {
		return err
	}
	l.note("failed while the CA was replaced", armOurs, "requests", float64(len(created.failed)))
	l.note("connections that failed meanwhile", armOurs, "connections", float64(len(shaken.failed)))
	l.note("requests meanwhile", armOurs, "req/s", float64(len(created.took)+len(created.failed))/span.Seconds())
	l.note("p99 meanwhile", armOurs, "ms", created.quantile(0.99))
	for _, failed := range [][]error{created.failed, shaken.failed} {
		if len(failed) > 0 {
			b.note("the first of %d failures: %s", len(failed), firstLine(failed[0]))
		}
	}
	return ctx.Err()
}

// replaceCA asks for a new CA, and returns once all replicas serve what it has signed.
func (p *plane) replaceCA(ctx context.Context, replicas []*servers.Replica) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: "tekgate-webhook-ca"}}
	if err := p.client.Get(ctx, kube.ObjectKeyFromObject(secret), secret); err != nil {
		return fmt.Errorf("reading the CA: %w", err)
	}
	old := secret.Data[corev1.TLSCertKey]
	if err := p.client.Patch(ctx, secret, kube.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+certs.Rotate+`":"now"}}}`))); err != nil {
		return fmt.Errorf("asking for a new CA: %w", err)
	}
	for _, replica := range replicas {
		if err := eventually(ctx, "a replica serves what the new CA signed", func() error { return p.switched(ctx, replica, old) }); err != nil {
			return fmt.Errorf("%w; its log:\n%s", err, replica.Logs)
		}
	}
	return nil
}

// shake makes a new connection, as an API server does that has just read the
// configuration.
func (p *plane) shake(ctx context.Context, address string) (time.Duration, error) {
	bundle, err := servers.Bundle(ctx, p.client, "MutatingWebhookConfiguration", "mutate.tekgate.dev")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = servers.Handshake(ctx, address, bundle)
	return time.Since(began), err
}

// switched is nil once a replica serves a certificate that the old CA did not sign.
func (p *plane) switched(ctx context.Context, replica *servers.Replica, old []byte) error {
	bundle, err := servers.Bundle(ctx, p.client, "MutatingWebhookConfiguration", "mutate.tekgate.dev")
	if err != nil {
		return err
	}
	leaf, err := servers.Handshake(ctx, replica.Address, bundle)
	if err != nil {
		return err
	}
	if servers.Signed(leaf, old) {
		return fmt.Errorf("the replica at %s still serves what the old CA signed", replica.Address)
	}
	return nil
}
