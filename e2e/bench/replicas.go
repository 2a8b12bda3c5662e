package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// process is a replica that can be terminated.
type process interface {
	Terminate() error
	Exited(ctx context.Context) error
}

// tekgateProcess makes a replica of Tekgate a process.
type tekgateProcess struct{ *servers.Replica }

func (t tekgateProcess) Exited(ctx context.Context) error { return t.Ended(ctx) }

// replicas are those of one candidate, behind a Service.
type replicas struct {
	*servers.Service
	candidate string
	resource  string
	object    []byte
	check     func(answer []byte) error
	start     func(ctx context.Context) (p process, address string, err error)

	last    process // that was started
	backend *servers.Backend
}

// add starts a replica and adds it to the Service.
func (r *replicas) add(ctx context.Context) error {
	started, address, err := r.start(ctx)
	if err != nil {
		return err
	}
	r.last, r.backend = started, r.Add(address)
	return nil
}

// sender returns a function that creates an object for which the replicas are called.
func (r *replicas) sender(p *controlPlane) load.Sender {
	return func(ctx context.Context) (time.Duration, error) {
		answer, took, err := p.api.create(ctx, r.resource, namespace(r.candidate), r.object)
		if err == nil {
			err = r.check(answer)
		}
		return took, err
	}
}

// works waits until the replicas do their job.
func (r *replicas) works(ctx context.Context, p *controlPlane) error {
	return eventually(ctx, r.candidate+" does its job", func() error {
		_, err := r.sender(p)(ctx)
		return err
	})
}

// deploy registers a Service with one replica of a candidate. The flags are Tekgate's.
func (p *controlPlane) deploy(
	ctx context.Context, e *environment, candidate string, flags ...string,
) (*replicas, error) {
	free, err := child.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	service, err := servers.Listen(ctx, free)
	if err != nil {
		return nil, err
	}
	p.add(func() { _ = service.Close() })
	r := &replicas{
		Service: service, candidate: candidate, resource: taskRuns, object: encode(taskRun("build")),
		check: func(answer []byte) error { return checkJob(candidate, answer) },
	}
	switch candidate {
	case tekgate:
		return r, p.deployTekgate(ctx, e, r, flags...)
	case gatekeeper:
		return r, p.deployGatekeeper(ctx, e, r)
	case podIdentity:
		return r, p.deployPodIdentity(ctx, e, r)
	default:
		return nil, fmt.Errorf("there are no replicas of %q", candidate)
	}
}

func (p *controlPlane) deployTekgate(ctx context.Context, e *environment, r *replicas, flags ...string) error {
	r.start = func(ctx context.Context) (process, string, error) {
		replica, err := p.startTekgate(ctx, e, flags...)
		if err != nil {
			return nil, "", err
		}
		return tekgateProcess{replica}, replica.Address, nil
	}
	if err := r.add(ctx); err != nil {
		return err
	}
	return p.registerTekgate(ctx, r.Address(), []string{tekgate}, []string{tekgate})
}

// stopLater stops a peer's replica with the control plane.
func (p *controlPlane) stopLater(s *peers.Server, err error) (process, string, error) {
	if err != nil {
		return nil, "", err
	}
	p.add(s.Stop)
	return s, s.Address, nil
}

func (p *controlPlane) deployGatekeeper(ctx context.Context, e *environment, r *replicas) error {
	identity, err := peers.NewIdentity(gatekeeperService + "." + gatekeeperNamespace + ".svc")
	if err != nil {
		return err
	}
	r.start = func(ctx context.Context) (process, string, error) {
		return p.stopLater(peers.StartGatekeeper(ctx, p.Cluster, peers.Options{Identity: identity, Log: e.log}))
	}
	if err := r.add(ctx); err != nil { // which creates its Namespace
		return err
	}
	return p.registerGatekeeper(ctx, r.Address(), identity)
}

func (p *controlPlane) deployPodIdentity(ctx context.Context, e *environment, r *replicas) error {
	const service = "pod-identity-webhook"
	identity, err := peers.NewIdentity(service + "." + wellknown.TekgateNamespace + ".svc")
	if err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace(r.candidate), Name: "identified",
		Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/builder"},
	}}
	if err := p.client.Create(ctx, account); err != nil {
		return err
	}
	pod := peers.Pod()
	pod["metadata"] = map[string]any{"name": "build"}
	r.resource, r.object = "api/v1/pods", encode(pod)
	r.check = func(answer []byte) error {
		if !bytes.Contains(answer, []byte("AWS_ROLE_ARN")) {
			return errors.New("the Pod has no identity")
		}
		return nil
	}
	r.start = func(ctx context.Context) (process, string, error) {
		return p.stopLater(peers.StartPodIdentity(ctx, p.Cluster, peers.Options{Identity: identity, Log: e.log}))
	}
	if err := r.add(ctx); err != nil {
		return err
	}
	to, err := p.service(ctx, wellknown.TekgateNamespace, service, r.Address(), "/mutate", identity.CA)
	if err != nil {
		return err
	}
	return p.registerPeer(ctx, peerWebhook{
		candidate: r.candidate, name: "pod-identity.bench.tekgate.dev", to: to, resource: "pods",
		reviewVersion: "v1beta1", // its answer has no apiVersion, which an API server accepts only in v1beta1
	})
}
