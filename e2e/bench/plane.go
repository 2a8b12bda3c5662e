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
	"k8s.io/client-go/rest"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/servers"
)

// plane is a real API server on which all arms of a benchmark stand beside each
// other. An arm is a Namespace: its webhooks and policies are registered for that one
// alone, so that what is created there passes it and no other, and two arms can be
// asked in turn, a moment apart, without anything being installed in between. What it
// costs the API server to see that the other registrations do not match is the same
// for all arms, and part of the one that has none.
type plane struct {
	*cluster.Cluster
	client kube.Client
	post   *poster
	dir    string // for files
	// timeout is that of all webhooks, in seconds: a slow machine is no failure.
	timeout int64

	kyverno *peers.Server // of two arms
	cleanup
}

// cleanup is what is to be undone, last things first.
type cleanup []func()

func (c *cleanup) add(undo func()) { *c = append(*c, undo) }

func (c *cleanup) run() {
	for _, undo := range slices.Backward(*c) {
		undo()
	}
}

// newPlane starts an API server with Tekton's kinds. The caller closes it.
func newPlane(ctx context.Context, b *bed, arms ...string) (p *plane, err error) {
	if os.Getenv(cluster.KubeconfigEnv) != "" {
		return nil, fmt.Errorf("starting an API server: %s names one, but what is measured here needs one of its own: unset it", cluster.KubeconfigEnv)
	}
	p = &plane{timeout: 10}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.dir, err = os.MkdirTemp("", "tekgate-bench-"); err != nil {
		return p, err
	}
	p.add(func() { _ = os.RemoveAll(p.dir) })
	if p.Cluster, err = cluster.New(ctx, b.talk); err != nil {
		return p, err
	}
	p.add(func() { _ = p.Stop() }) // nobody uses it any more
	config := rest.CopyConfig(p.Config)
	config.QPS = -1
	if p.client, err = kube.New(config, kube.Options{}); err != nil {
		return p, err
	}
	if p.post, err = newPoster(config); err != nil {
		return p, err
	}
	if err := peers.Furnish(ctx, p.Cluster); err != nil {
		return p, err
	}
	for _, arm := range arms {
		if err := p.namespace(ctx, space(arm)); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *plane) close() { p.run() }

// namespace makes one with the ServiceAccount that the job gives to runs.
func (p *plane) namespace(ctx context.Context, name string) error {
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := p.client.Create(ctx, space); err != nil {
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

// write makes a file of the plane's.
func (p *plane) write(name, text string) (string, error) {
	path := filepath.Join(p.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// tekgate starts a replica of our admission server, configured for the job.
func (p *plane) tekgate(ctx context.Context, b *bed, args ...string) (*servers.Replica, error) {
	program, err := b.build(ctx, "webhook")
	if err != nil {
		return nil, err
	}
	kubeconfig, err := servers.Limit(ctx, p.Cluster, p.client, p.dir)
	if err != nil {
		return nil, err
	}
	file, err := p.write("tekgate.yaml", jobConfig)
	if err != nil {
		return nil, err
	}
	replica, err := servers.Start(ctx, servers.Options{Program: program, Kubeconfig: kubeconfig, Config: file, Args: args})
	if err != nil {
		return nil, err
	}
	p.add(replica.Kill)
	return replica, nil
}

// register registers our server at an address as the manifests do, for some arms
// alone, and with the time-out in seconds that is given, if any. judged are the arms
// that its validating webhooks are for; without any they are left out.
func (p *plane) register(ctx context.Context, address string, mutated, judged []string) error {
	configurations, err := servers.Configurations(address)
	if err != nil {
		return err
	}
	for _, configuration := range configurations {
		arms := mutated
		if configuration.GetKind() == "ValidatingWebhookConfiguration" {
			arms = judged
		}
		if len(arms) == 0 {
			continue
		}
		for _, hook := range servers.Hooks(configuration) {
			limitTo(hook, arms...)
			hook["timeoutSeconds"] = p.timeout
		}
		if err := servers.Register(ctx, p.client, configuration); err != nil {
			return err
		}
	}
	return nil
}

// limitTo adds to a webhook, or to what a policy matches, that it is for some arms
// alone.
func limitTo(hook map[string]any, arms ...string) {
	selector, _ := hook["namespaceSelector"].(map[string]any)
	if selector == nil {
		selector = map[string]any{}
	}
	expressions, _ := selector["matchExpressions"].([]any)
	values := make([]any, 0, len(arms))
	for _, arm := range arms {
		values = append(values, space(arm))
	}
	selector["matchExpressions"] = append(slices.Clone(expressions), map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": values})
	hook["namespaceSelector"] = selector
}

// eventually tries until there is no error or a minute is over.
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
