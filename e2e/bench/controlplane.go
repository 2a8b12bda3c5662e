package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/kube"
)

// controlPlane is a real API server that calls the candidates of one benchmark. Each
// candidate has a Namespace, and its webhooks and policies are registered for that
// Namespace only. So candidates can take turns without any change in between, and each
// pays the same for the registrations that do not match.
type controlPlane struct {
	*cluster.Cluster
	client  client.Client
	api     *api
	dir     string        // for files
	timeout int64         // of all webhooks, in seconds; long, because a slow machine is no failure
	kyverno *peers.Server // of two candidates
	cleanup
}

// cleanup has the functions to call at the end, in reverse order.
type cleanup []func()

func (c *cleanup) add(undo func()) { *c = append(*c, undo) }

func (c *cleanup) close() {
	for _, undo := range slices.Backward(*c) {
		undo()
	}
}

// newControlPlane starts an API server with Tekton's kinds. The caller closes it.
func newControlPlane(ctx context.Context, e *environment, candidates ...string) (p *controlPlane, err error) {
	if os.Getenv(cluster.KubeconfigEnv) != "" {
		return nil, fmt.Errorf("unset %s: this benchmark needs an API server of its own", cluster.KubeconfigEnv)
	}
	p = &controlPlane{timeout: 10}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.dir, err = os.MkdirTemp("", "tekgate-bench-"); err != nil {
		return p, err
	}
	p.add(func() { _ = os.RemoveAll(p.dir) })
	if p.Cluster, err = cluster.New(ctx, e.log); err != nil {
		return p, err
	}
	p.add(func() { _ = p.Stop() }) // nothing uses it anymore
	if p.client, err = kube.Client(p.Config, scheme.AddToScheme); err != nil {
		return p, err
	}
	if p.api, err = newAPI(p.Config); err != nil {
		return p, err
	}
	if err := peers.Prepare(ctx, p.Cluster); err != nil {
		return p, err
	}
	for _, candidate := range candidates {
		if err := p.createNamespace(ctx, namespace(candidate)); err != nil {
			return p, err
		}
	}
	return p, nil
}

// createNamespace creates a Namespace with the ServiceAccount of the job.
func (p *controlPlane) createNamespace(ctx context.Context, name string) error {
	if err := p.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return fmt.Errorf("creating Namespace %s: %w", name, err)
	}
	account := &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: baseline.ServiceAccount},
		Secrets:    []corev1.ObjectReference{{Name: "registry"}},
	}
	if err := p.client.Create(ctx, account); err != nil {
		return fmt.Errorf("creating a ServiceAccount in %s: %w", name, err)
	}
	return nil
}

// writeFile writes a file that is removed by close, and returns its path.
func (p *controlPlane) writeFile(name, text string) (string, error) {
	path := filepath.Join(p.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// startTekgate starts a replica of the admission server, configured for the job.
func (p *controlPlane) startTekgate(ctx context.Context, e *environment, args ...string) (*servers.Replica, error) {
	program, err := e.build(ctx, "webhook")
	if err != nil {
		return nil, err
	}
	kubeconfig, err := servers.Limit(ctx, p.Cluster, p.client, p.dir)
	if err != nil {
		return nil, err
	}
	config, err := p.writeFile("tekgate.yaml", jobConfig)
	if err != nil {
		return nil, err
	}
	replica, err := servers.Start(ctx, servers.Options{
		Program: program, Kubeconfig: kubeconfig, Config: config, Args: args,
	})
	if err != nil {
		return nil, err
	}
	p.add(replica.Kill)
	return replica, nil
}

// registerTekgate registers an address as the manifests do: its mutating webhooks for the
// Namespaces of some candidates, its validating ones for those of others, if any.
func (p *controlPlane) registerTekgate(ctx context.Context, address string, mutated, validated []string) error {
	configurations, err := servers.Configurations(address)
	if err != nil {
		return err
	}
	for _, configuration := range configurations {
		candidates := mutated
		if configuration.GetKind() == "ValidatingWebhookConfiguration" {
			candidates = validated
		}
		if len(candidates) == 0 {
			continue
		}
		for _, hook := range servers.Hooks(configuration) {
			limitTo(hook, candidates...)
			hook["timeoutSeconds"] = p.timeout
		}
		if err := servers.Register(ctx, p.client, configuration); err != nil {
			return err
		}
	}
	return nil
}

// limitTo limits a webhook, or the match constraints of a policy, to the Namespaces of
// some candidates.
func limitTo(hook map[string]any, candidates ...string) {
	selector, _ := hook["namespaceSelector"].(map[string]any)
	if selector == nil {
		selector = map[string]any{}
	}
	expressions, _ := selector["matchExpressions"].([]any)
	values := make([]any, 0, len(candidates))
	for _, candidate := range candidates {
		values = append(values, namespace(candidate))
	}
	selector["matchExpressions"] = append(slices.Clone(expressions), map[string]any{
		"key": corev1.LabelMetadataName, "operator": "In", "values": values,
	})
	hook["namespaceSelector"] = selector
}

// eventually calls try until it succeeds or a minute is over.
func eventually(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, errors.Join(err, context.Cause(ctx)))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
