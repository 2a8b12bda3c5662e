package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/peers"
)

// gatekeeperService is what its chart calls the Service of its webhooks.
const gatekeeperSpace, gatekeeperService = "gatekeeper-system", "gatekeeper-webhook-service"

// addPeers adds arms of others and returns those that run. One that does not is missing
// in the report.
func (p *plane) addPeers(ctx context.Context, b *bed, object []byte, arms ...string) ([]string, error) {
	var running []string
	for _, arm := range arms {
		if b.leftOut(arm) || b.isMissing(arm) {
			continue
		}
		fmt.Fprintf(b.talk, "starting %s\n", arm)
		err := p.addPeer(ctx, b, arm)
		if err == nil {
			err = p.changed(ctx, arm, taskRuns, object)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			b.lacks(arm, err)
			continue
		}
		running = append(running, arm)
	}
	return running, nil
}

func (p *plane) addPeer(ctx context.Context, b *bed, arm string) error {
	switch arm {
	case armGatekeeper:
		return p.addGatekeeper(ctx, b)
	case armKyverno:
		if err := p.startKyverno(ctx, b); err != nil {
			return err
		}
		return p.limitClusterPolicy(ctx)
	case armKyvernoCEL:
		if err := p.startKyverno(ctx, b); err != nil {
			return err
		}
		return p.limitMutatingPolicy(ctx)
	default:
		return fmt.Errorf("there is no arm %q that the API server asks", arm)
	}
}

// addGatekeeper registers it as its chart does, but with the time-out of the others and
// with failurePolicy Fail.
func (p *plane) addGatekeeper(ctx context.Context, b *bed) error {
	identity, err := peers.NewIdentity(gatekeeperService + "." + gatekeeperSpace + ".svc")
	if err != nil {
		return err
	}
	s, err := peers.StartGatekeeper(ctx, p.Cluster, peers.Options{Identity: identity, Log: b.talk})
	if err != nil {
		return err
	}
	p.add(s.Stop)
	to, err := p.service(ctx, gatekeeperSpace, gatekeeperService, s.Address, "/v1/mutate", identity.CA)
	if err != nil {
		return err
	}
	return p.registerPeer(ctx, armGatekeeper, "mutation.gatekeeper.sh", to, "tekton.dev", "taskruns")
}

// service gives an address of this machine the name of a Service and returns the
// clientConfig of a webhook there: to a Service the API server speaks HTTP/1.1, and to a
// URL on loopback, as no cluster has it, HTTP/2 where it is offered.
func (p *plane) service(ctx context.Context, namespace, name, address, path string, ca []byte) (map[string]any, error) {
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return nil, err
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "127.0.0.1"},
	}
	if err := p.client.Create(ctx, service); err != nil {
		return nil, fmt.Errorf("creating the Service %s: %w", name, err)
	}
	return map[string]any{
		"service":  map[string]any{"namespace": namespace, "name": name, "path": path, "port": port},
		"caBundle": base64.StdEncoding.EncodeToString(ca),
	}, nil
}

// registerPeer registers a mutating webhook for creations in one arm.
func (p *plane) registerPeer(ctx context.Context, arm, name string, to map[string]any, group, resource string) error {
	return p.registerFor(ctx, "v1", arm, name, to, group, resource)
}

// registerFor does so for a version of AdmissionReview.
func (p *plane) registerFor(ctx context.Context, review, arm, name string, to map[string]any, group, resource string) error {
	hook := map[string]any{
		"name": name, "admissionReviewVersions": []any{review}, "sideEffects": "None", "failurePolicy": "Fail",
		"timeoutSeconds": p.timeout, "clientConfig": to,
		"rules": []any{map[string]any{
			"apiGroups": []any{group}, "apiVersions": []any{"v1"}, "resources": []any{resource}, "operations": []any{"CREATE"}, "scope": "Namespaced",
		}},
	}
	limitTo(hook, arm)
	configuration := &unstructured.Unstructured{Object: map[string]any{"webhooks": []any{hook}}}
	configuration.SetAPIVersion("admissionregistration.k8s.io/v1")
	configuration.SetKind("MutatingWebhookConfiguration")
	configuration.SetName(name)
	if err := p.client.Create(ctx, configuration); err != nil {
		return fmt.Errorf("registering %s: %w", arm, err)
	}
	return nil
}

// startKyverno starts it for both of its arms, once. It registers itself.
func (p *plane) startKyverno(ctx context.Context, b *bed) error {
	if p.kyverno != nil {
		return nil
	}
	s, err := peers.StartKyverno(ctx, p.Cluster, peers.Options{Identity: b.identity, Log: b.talk})
	if err != nil {
		return err
	}
	p.kyverno = s
	p.add(s.Stop)
	return nil
}

// limitClusterPolicy makes Kyverno register a webhook for the policy alone, which is
// asked about the arm alone: it makes one of its own for a policy with matchConditions.
func (p *plane) limitClusterPolicy(ctx context.Context) error {
	return p.patchPolicy(ctx, "kyverno.io/v1", "ClusterPolicy", map[string]any{"spec": map[string]any{"webhookConfiguration": map[string]any{
		"timeoutSeconds":  p.timeout,
		"matchConditions": []any{map[string]any{"name": "arm", "expression": `request.namespace == "` + space(armKyverno) + `"`}},
	}}})
}

func (p *plane) limitMutatingPolicy(ctx context.Context) error {
	constraints := map[string]any{}
	limitTo(constraints, armKyvernoCEL)
	return p.patchPolicy(ctx, "policies.kyverno.io/v1", "MutatingPolicy", map[string]any{"spec": map[string]any{
		"webhookConfiguration": map[string]any{"timeoutSeconds": p.timeout},
		"matchConstraints":     constraints,
	}})
}

func (p *plane) patchPolicy(ctx context.Context, apiVersion, kind string, patch map[string]any) error {
	policy := &unstructured.Unstructured{}
	policy.SetAPIVersion(apiVersion)
	policy.SetKind(kind)
	policy.SetName("taskruns")
	if err := p.client.Patch(ctx, policy, kube.RawPatch("application/merge-patch+json", encode(patch))); err != nil {
		return fmt.Errorf("limiting Kyverno's %s to its arm: %w", kind, err)
	}
	return nil
}

// alone waits until each arm is asked about by its own webhooks and by no others: what
// is created in one of them five times is counted by the API server. It returns the arm
// of each webhook.
func (p *plane) alone(ctx context.Context, object []byte, arms ...string) (owner map[string]string, err error) {
	const times = 5
	err = eventually(ctx, "every arm has its own webhooks alone", func() error {
		owner = map[string]string{}
		for _, arm := range arms {
			before, err := p.admission(ctx)
			if err != nil {
				return err
			}
			for range times {
				answer, _, err := p.post.create(ctx, taskRuns, space(arm), object)
				if err != nil {
					return err
				}
				if err := done(arm, answer); err != nil {
					return err
				}
			}
			after, err := p.admission(ctx)
			if err != nil {
				return err
			}
			for name, now := range after {
				if now.count-before[name].count < times {
					continue
				}
				if arm == armNone || arm == armPolicy || owner[name] != "" {
					return fmt.Errorf("the webhook %s is asked about the arm %s, and about %q", name, arm, owner[name])
				}
				owner[name] = arm
			}
		}
		return nil
	})
	return owner, err
}
