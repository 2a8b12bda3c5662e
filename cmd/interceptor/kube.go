package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
)

// kube is an API server, asked directly: a cache would need the right to list
// Secrets, and would hold all of them.
type kube struct {
	client.Client
	host string
}

// connect prepares a client. Nothing is sent yet.
func connect(kubeconfig string) (kube, error) {
	config, err := restConfig(kubeconfig)
	if err != nil {
		return kube{}, err
	}
	config.UserAgent = "tekgate-interceptor"
	// A request must not hang for longer than an EventListener waits.
	config.Timeout = 10 * time.Second
	// Each Trigger of an event reads its Secret at the same moment. The default of
	// five requests a second would queue them until EventListeners give up; the API
	// server has its own priority and fairness.
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		return kube{}, fmt.Errorf("preparing a client for the API server at %s: %w", config.Host, err)
	}
	return kube{c, config.Host}, nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no cluster is named: pass --kubeconfig, set KUBECONFIG, or run in a Pod with a ServiceAccount")
	case err != nil && kubeconfig != "":
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	case err != nil:
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config, nil
}

// secrets reads Secrets for the interceptor.
type secrets struct{ client client.Client }

func (s secrets) Get(ctx context.Context, namespace, name string) (*interceptor.Secret, error) {
	secret := &corev1.Secret{}
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		return nil, err
	}
	return &interceptor.Secret{
		Data: secret.Data, Labels: secret.Labels,
		SecretState: interceptor.SecretState{ResourceVersion: secret.ResourceVersion, Since: secret.CreationTimestamp.Time},
	}, nil
}
