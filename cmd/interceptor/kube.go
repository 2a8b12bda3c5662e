package main

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kube is an API server, asked directly: a cache of controller-runtime's would need
// the right to list Secrets, and would hold all of them.
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
