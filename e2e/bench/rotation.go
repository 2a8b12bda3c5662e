package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/wellknown"
)

const (
	rotationRate       = 200 // requests per second
	rotationWidth      = 32
	rotationHandshakes = 50 // per second
	rotationOverlap    = 3 * time.Second
)

// rotation measures requests and handshakes while two replicas replace the CA.
func rotation(ctx context.Context, e *environment) ([]report.Figure, error) {
	p, err := newControlPlane(ctx, e, tekgate)
	if err != nil {
		return nil, err
	}
	defer p.close()
	deployed, err := p.deploy(ctx, e, tekgate, "--recheck", "300ms", "--ca-overlap", rotationOverlap.String())
	if err != nil {
		return nil, err
	}
	first := deployed.last
	if err := deployed.add(ctx); err != nil {
		return nil, err
	}
	var rotated []*servers.Replica
	for _, one := range []process{first, deployed.last} {
		if t, ok := one.(tekgateProcess); ok {
			rotated = append(rotated, t.Replica)
		}
	}
	if err := deployed.works(ctx, p); err != nil {
		return nil, err
	}
	r := &recorder{}
	for round := range e.rounds {
		e.progress(round, "rotation")
		if err := p.measureRotation(ctx, e, r, deployed, rotated); err != nil {
			return nil, err
		}
	}
	return r.figures, nil
}

// measureRotation replaces the CA once, under load.
func (p *controlPlane) measureRotation(
	ctx context.Context, e *environment, r *recorder, deployed *replicas, rotated []*servers.Replica,
) error {
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	requests, handshakes := make(chan load.Sample, 1), make(chan load.Sample, 1)
	began := time.Now()
	go func() { requests <- load.Pace(loaded, rotationRate, rotationWidth, deployed.sender(p)) }()
	go func() {
		handshakes <- load.Pace(loaded, rotationHandshakes, 1, func(ctx context.Context) (time.Duration, error) {
			return p.handshake(ctx, deployed.Address())
		})
	}()
	time.Sleep(time.Second)
	err := p.replaceCA(ctx, rotated)
	time.Sleep(time.Second) // with the new certificates
	stop()
	created, shaken, span := <-requests, <-handshakes, time.Since(began)
	if err != nil {
		return err
	}
	r.record(failedRequests, tekgate, "requests", float64(len(created.Failed)))
	r.record("failed connections", tekgate, "connections", float64(len(shaken.Failed)))
	r.record(throughputName, tekgate, "req/s", float64(created.Sent())/span.Seconds())
	r.record("p99", tekgate, "ms", created.P99())
	e.noteFailures("requests", &created)
	e.noteFailures("connections", &shaken)
	return ctx.Err()
}

// replaceCA requests a new CA, and waits until all replicas serve certificates of it.
func (p *controlPlane) replaceCA(ctx context.Context, rotated []*servers.Replica) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: wellknown.TekgateNamespace, Name: wellknown.WebhookCA,
	}}
	if err := p.client.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return fmt.Errorf("reading the CA: %w", err)
	}
	old := secret.Data[corev1.TLSCertKey]
	patch := encode(map[string]any{"metadata": map[string]any{
		"annotations": map[string]any{wellknown.RotateKey: "now"},
	}})
	if err := p.client.Patch(ctx, secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("requesting a new CA: %w", err)
	}
	for _, replica := range rotated {
		err := eventually(ctx, "a replica serves a certificate of the new CA", func() error {
			return p.checkReplaced(ctx, replica, old)
		})
		if err != nil {
			return fmt.Errorf("%w; its log:\n%s", err, replica.Logs)
		}
	}
	return nil
}

// handshake opens a connection and trusts only the caBundle that is registered now.
func (p *controlPlane) handshake(ctx context.Context, address string) (time.Duration, error) {
	bundle, err := p.bundle(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = servers.Handshake(ctx, address, bundle)
	return time.Since(began), err
}

// checkReplaced returns an error while a replica serves a certificate of the old CA.
func (p *controlPlane) checkReplaced(ctx context.Context, replica *servers.Replica, old []byte) error {
	bundle, err := p.bundle(ctx)
	if err != nil {
		return err
	}
	leaf, err := servers.Handshake(ctx, replica.Address, bundle)
	if err != nil {
		return err
	}
	if servers.Signed(leaf, old) {
		return fmt.Errorf("the replica at %s still serves a certificate of the old CA", replica.Address)
	}
	return nil
}
