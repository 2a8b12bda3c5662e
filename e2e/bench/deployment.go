package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/servers"
)

// member is a replica behind an address.
type member interface {
	Terminate() error
	Exited(ctx context.Context) error
}

// deployment is what is behind a Service.
type deployment struct {
	*servers.Service
	arm      string
	resource string
	object   []byte
	judge    func(answer []byte) error
	start    func(ctx context.Context) (m member, address string, err error)

	last   member // that was started
	behind *servers.Backend
}

// another starts a replica and sends it connections.
func (d *deployment) another(ctx context.Context) error {
	m, address, err := d.start(ctx)
	if err != nil {
		return err
	}
	d.last, d.behind = m, d.Add(address)
	return nil
}

func (d *deployment) send(ctx context.Context, p *plane) (time.Duration, error) {
	answer, took, err := p.post.create(ctx, d.resource, space(d.arm), d.object)
	if err == nil {
		err = d.judge(answer)
	}
	return took, err
}

func (d *deployment) works(ctx context.Context, p *plane) error {
	return eventually(ctx, d.arm+" does its job", func() error { _, err := d.send(ctx, p); return err })
}

// ending is a replica of ours.
type ending struct{ *servers.Replica }

func (e ending) Exited(ctx context.Context) error { return e.Ended(ctx) }

// deploy registers a Service of an arm that has one replica. The flags are for ours.
func (p *plane) deploy(ctx context.Context, b *bed, arm string, flags ...string) (*deployment, error) {
	free, err := child.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	service, err := servers.Listen(ctx, free)
	if err != nil {
		return nil, err
	}
	p.add(func() { _ = service.Close() })
	d := &deployment{Service: service, arm: arm, resource: taskRuns, object: taskRun(), judge: func(answer []byte) error { return done(arm, answer) }}
	switch arm {
	case armOurs:
		return d, p.deployOurs(ctx, b, d, flags...)
	case armGatekeeper:
		return d, p.deployGatekeeper(ctx, b, d)
	case armPodIdentity:
		return d, p.deployPodIdentity(ctx, b, d)
	default:
		return nil, fmt.Errorf("there is no deployment of %q", arm)
	}
}

func (p *plane) deployOurs(ctx context.Context, b *bed, d *deployment, flags ...string) error {
	d.start = func(ctx context.Context) (member, string, error) {
		replica, err := p.tekgate(ctx, b, flags...)
		if err != nil {
			return nil, "", err
		}
		return ending{replica}, replica.Address, nil
	}
	if err := d.another(ctx); err != nil {
		return err
	}
	return p.register(ctx, d.Address(), []string{d.arm}, []string{d.arm})
}

// stop makes an end of a peer's replica part of the plane's.
func (p *plane) stop(s *peers.Server, err error) (member, string, error) {
	if err != nil {
		return nil, "", err
	}
	p.add(s.Stop)
	return s, s.Address, nil
}

func (p *plane) deployGatekeeper(ctx context.Context, b *bed, d *deployment) error {
	identity, err := peers.NewIdentity(gatekeeperService + "." + gatekeeperSpace + ".svc")
	if err != nil {
		return err
	}
	d.start = func(ctx context.Context) (member, string, error) {
		return p.stop(peers.StartGatekeeper(ctx, p.Cluster, peers.Options{Identity: identity, Log: b.talk}))
	}
	if err := d.another(ctx); err != nil { // which makes its Namespace
		return err
	}
	to, err := p.service(ctx, gatekeeperSpace, gatekeeperService, d.Address(), "/v1/mutate", identity.CA)
	if err != nil {
		return err
	}
	return p.registerPeer(ctx, d.arm, "mutation.gatekeeper.sh", to, "tekton.dev", "taskruns")
}

func (p *plane) deployPodIdentity(ctx context.Context, b *bed, d *deployment) error {
	const service, namespace = "pod-identity-webhook", "tekgate" // some Namespace that is there
	identity, err := peers.NewIdentity(service + "." + namespace + ".svc")
	if err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: space(d.arm), Name: "identified", Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/builder"},
	}}
	if err := p.client.Create(ctx, account); err != nil {
		return err
	}
	pod := peers.Pod()
	pod["metadata"] = map[string]any{"name": "build"}
	d.resource, d.object = "api/v1/pods", encode(pod)
	d.judge = func(answer []byte) error {
		if !bytes.Contains(answer, []byte("AWS_ROLE_ARN")) {
			return errors.New("a Pod was not given its identity")
		}
		return nil
	}
	d.start = func(ctx context.Context) (member, string, error) {
		return p.stop(peers.StartPodIdentity(ctx, p.Cluster, peers.Options{Identity: identity, Log: b.talk}))
	}
	if err := d.another(ctx); err != nil {
		return err
	}
	to, err := p.service(ctx, namespace, service, d.Address(), "/mutate", identity.CA)
	if err != nil {
		return err
	}
	// it answers without the version of v1, which an API server takes in v1beta1 alone
	return p.registerFor(ctx, "v1beta1", d.arm, "pod-identity.bench.tekgate.dev", to, "", "pods")
}
