package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
)

// kube says which cluster: kubectl's flags of the same names.
type kube struct {
	kubeconfig string
	context    string
}

func (k *kube) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` (default: $KUBECONFIG, or ~/.kube/config)")
	f.StringVar(&k.context, "context", "", "`NAME` of the kubeconfig's context")
}

func (k *kube) load() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = k.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: k.context}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

// connect prepares to read from the cluster, and returns the namespace of the
// kubeconfig's context.
func (k *kube) connect() (server *lookup.Server, namespace string, err error) {
	config, err := k.restConfig()
	if err != nil {
		return nil, "", err
	}
	if namespace, _, err = k.load().Namespace(); err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	server, err = lookup.Connect(config)
	return server, namespace, err
}

func (k *kube) restConfig() (*rest.Config, error) {
	config, err := k.load().ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no cluster is named: pass --kubeconfig, set KUBECONFIG, or put a kubeconfig at ~/.kube/config")
	case err != nil && k.kubeconfig != "":
		return nil, fmt.Errorf("reading kubeconfig %s: %w", k.kubeconfig, err)
	case err != nil:
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// The API server's warnings are about objects that the user has not written: what a
	// release holds, and what is created by a dry run. Without this controller-runtime
	// logs them, and prints its stack once it has waited half a minute for a logger.
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}
