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
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/peers"
)

// The Service of Gatekeeper's webhooks, and its webhook, as its chart names them.
const (
	gatekeeperNamespace = "gatekeeper-system"
	gatekeeperService   = "gatekeeper-webhook-service"
	gatekeeperWebhook   = "mutation.gatekeeper.sh"
)

// addPeers adds peers and returns those that run and do the job.
func (p *controlPlane) addPeers(ctx context.Context, e *environment, j job, candidates ...string) ([]string, error) {
	return e.available(ctx, func(candidate string) error {
		fmt.Fprintf(e.log, "starting %s\n", candidate)
		if err := p.addPeer(ctx, e, candidate); err != nil {
			return err
		}
		return p.works(ctx, j, candidate)
	}, candidates...)
}

func (p *controlPlane) addPeer(ctx context.Context, e *environment, candidate string) error {
	switch candidate {
	case gatekeeper:
		return p.addGatekeeper(ctx, e)
	case kyvernoPolicy:
		if err := p.startKyverno(ctx, e); err != nil {
			return err
		}
		return p.limitClusterPolicy(ctx)
	case kyvernoCEL:
		if err := p.startKyverno(ctx, e); err != nil {
			return err
		}
		return p.limitMutatingPolicy(ctx)
	default:
		return fmt.Errorf("there is no candidate %q for the API server to call", candidate)
	}
}

func (p *controlPlane) addGatekeeper(ctx context.Context, e *environment) error {
	identity, err := peers.NewIdentity(gatekeeperService + "." + gatekeeperNamespace + ".svc")
	if err != nil {
		return err
	}
	s, err := peers.StartGatekeeper(ctx, p.Cluster, peers.Options{Identity: identity, Log: e.log})
	if err != nil {
		return err
	}
	p.add(s.Stop)
	return p.registerGatekeeper(ctx, s.Address, identity)
}

// registerGatekeeper registers an address as Gatekeeper's chart does, but with the timeout
// and the failurePolicy of the other candidates.
func (p *controlPlane) registerGatekeeper(ctx context.Context, address string, identity *peers.Identity) error {
	to, err := p.service(ctx, gatekeeperNamespace, gatekeeperService, address, "/v1/mutate", identity.CA)
	if err != nil {
		return err
	}
	return p.registerPeer(ctx, peerWebhook{
		candidate: gatekeeper, name: gatekeeperWebhook, to: to, group: "tekton.dev", resource: "taskruns",
	})
}

// service creates a Service for an address of this machine, and returns the clientConfig
// of a webhook there. The API server uses HTTP/1.1 for a Service, as in a cluster, but
// HTTP/2 for a URL if the server offers it.
func (p *controlPlane) service(
	ctx context.Context, namespace, name, address, path string, ca []byte,
) (map[string]any, error) {
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

// peerWebhook is a mutating webhook for the creations in a candidate's Namespace.
type peerWebhook struct {
	candidate, name string
	to              map[string]any // its clientConfig
	group, resource string
	reviewVersion   string // v1 if empty
}

func (p *controlPlane) registerPeer(ctx context.Context, w peerWebhook) error {
	if w.reviewVersion == "" {
		w.reviewVersion = "v1"
	}
	hook := map[string]any{
		"name": w.name, "admissionReviewVersions": []any{w.reviewVersion}, "sideEffects": "None",
		"failurePolicy": "Fail", "timeoutSeconds": p.timeout, "clientConfig": w.to,
		"rules": []any{map[string]any{
			"apiGroups": []any{w.group}, "apiVersions": []any{"v1"}, "resources": []any{w.resource},
			"operations": []any{"CREATE"}, "scope": "Namespaced",
		}},
	}
	limitTo(hook, w.candidate)
	configuration := &unstructured.Unstructured{Object: map[string]any{"webhooks": []any{hook}}}
	configuration.SetAPIVersion("admissionregistration.k8s.io/v1")
	configuration.SetKind("MutatingWebhookConfiguration")
	configuration.SetName(w.name)
	if err := p.client.Create(ctx, configuration); err != nil {
		return fmt.Errorf("registering %s: %w", w.candidate, err)
	}
	return nil
}

// startKyverno starts the process of both of its candidates. It registers itself.
func (p *controlPlane) startKyverno(ctx context.Context, e *environment) error {
	if p.kyverno != nil {
		return nil
	}
	s, err := peers.StartKyverno(ctx, p.Cluster, peers.Options{Identity: e.identity, Log: e.log})
	if err != nil {
		return err
	}
	p.kyverno = s
	p.add(s.Stop)
	return nil
}

// limitClusterPolicy limits the policy to its candidate's Namespace. Kyverno registers a
// separate webhook for a policy with matchConditions.
func (p *controlPlane) limitClusterPolicy(ctx context.Context) error {
	condition := map[string]any{
		"name": "candidate", "expression": `request.namespace == "` + namespace(kyvernoPolicy) + `"`,
	}
	return p.patchPolicy(ctx, "kyverno.io/v1", "ClusterPolicy", map[string]any{
		"webhookConfiguration": map[string]any{"timeoutSeconds": p.timeout, "matchConditions": []any{condition}},
	})
}

func (p *controlPlane) limitMutatingPolicy(ctx context.Context) error {
	constraints := map[string]any{}
	limitTo(constraints, kyvernoCEL)
	return p.patchPolicy(ctx, "policies.kyverno.io/v1", "MutatingPolicy", map[string]any{
		"webhookConfiguration": map[string]any{"timeoutSeconds": p.timeout}, "matchConstraints": constraints,
	})
}

func (p *controlPlane) patchPolicy(ctx context.Context, apiVersion, kind string, spec map[string]any) error {
	policy := &unstructured.Unstructured{}
	policy.SetAPIVersion(apiVersion)
	policy.SetKind(kind)
	policy.SetName("taskruns")
	patch := client.RawPatch(types.MergePatchType, encode(map[string]any{"spec": spec}))
	if err := p.client.Patch(ctx, policy, patch); err != nil {
		return fmt.Errorf("limiting Kyverno's %s to its Namespace: %w", kind, err)
	}
	return nil
}
