package server

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tekgate/tekgate/internal/kube"
)

// connectTimeout bounds the wait for an API server that does not answer.
const connectTimeout = 10 * time.Second

// Connect returns the configuration of an API server that answers: the one that the
// kubeconfig names, or else that of the Pod.
//
// There are no client-side rate limits. A delayed request would take longer than an API
// server waits for its webhook, or an EventListener for its interceptor.
func Connect(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("finding the API server: no cluster is named: " +
			"pass --kubeconfig or set KUBECONFIG, since this is no Pod with a ServiceAccount")
	case err != nil && kubeconfig != "":
		return nil, fmt.Errorf("finding the API server: reading kubeconfig %s: %w", kubeconfig, err)
	case err != nil:
		return nil, fmt.Errorf("finding the API server: reading the kubeconfig: %w", err)
	}
	if err := ping(config); err != nil {
		return nil, err
	}
	return kube.Unthrottled(config), nil
}

func ping(config *rest.Config) error {
	config = rest.CopyConfig(config)
	config.Timeout = connectTimeout
	c, err := discovery.NewDiscoveryClientForConfig(config)
	if err == nil {
		_, err = c.ServerVersion()
	}
	if err == nil {
		return nil
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // the rest repeats the address
	}
	return fmt.Errorf("reaching the API server at %s: %w", config.Host, err)
}
