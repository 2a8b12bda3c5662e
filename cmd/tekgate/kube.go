package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
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

func (k *kube) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = k.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: k.context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no cluster is named: pass --kubeconfig, set KUBECONFIG, or put a kubeconfig at ~/.kube/config")
	case err != nil && k.kubeconfig != "":
		return nil, fmt.Errorf("reading kubeconfig %s: %w", k.kubeconfig, err)
	case err != nil:
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config, nil
}
