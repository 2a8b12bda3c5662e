// Package kubeflags connects to the cluster that kubectl's flags and configuration name.
package kubeflags

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

// Flags name a cluster: they are kubectl's flags of the same names.
type Flags struct {
	kubeconfig string
	context    string
}

// Add adds the flags to a command.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` (default: $KUBECONFIG, or ~/.kube/config)")
	flags.StringVar(&f.context, "context", "", "`NAME` of the kubeconfig's context")
}

// Empty reports whether no flag was given.
func (f *Flags) Empty() bool { return *f == Flags{} }

func (f *Flags) load() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: f.context}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

// Namespace returns the namespace of the kubeconfig's context.
func (f *Flags) Namespace() (string, error) {
	namespace, _, err := f.load().Namespace()
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return namespace, nil
}

// MissingError says that KUBECONFIG names files that do not exist. kubectl's loader passes over
// them.
type MissingError struct{ Files []string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("no cluster is named: KUBECONFIG names %s, which does not exist: correct it, or pass --kubeconfig",
		strings.Join(e.Files, " and "))
}

// missing returns the files of KUBECONFIG that do not exist, where that variable is read.
func (f *Flags) missing() []string {
	if f.kubeconfig != "" {
		return nil
	}
	return slices.DeleteFunc(filepath.SplitList(os.Getenv(clientcmd.RecommendedConfigPathEnvVar)),
		func(file string) bool {
			_, err := os.Stat(file)
			return file == "" || !errors.Is(err, os.ErrNotExist)
		})
}

// RESTConfig returns how to connect to the cluster.
func (f *Flags) RESTConfig() (*rest.Config, error) {
	config, err := f.load().ClientConfig()
	missing := f.missing()
	switch {
	case clientcmd.IsEmptyConfig(err) && len(missing) > 0:
		return nil, &MissingError{missing}
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New(
			"no cluster is named: pass --kubeconfig, set KUBECONFIG, or put a kubeconfig at ~/.kube/config")
	case err != nil && f.kubeconfig != "":
		return nil, fmt.Errorf("reading kubeconfig %s: %w", f.kubeconfig, err)
	case err != nil:
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// The API server's warnings are about objects that the user has not written: those
	// of a release, and those that a dry run creates. Without this controller-runtime
	// logs them, and prints a stack after half a minute without a logger.
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

// Client returns a client for unstructured objects and for the given types.
func (f *Flags) Client(types ...func(*runtime.Scheme) error) (client.Client, error) {
	config, err := f.RESTConfig()
	if err != nil {
		return nil, err
	}
	return kube.Client(config, types...)
}

// Lookup returns a reader for the mutator's questions, and the namespace of the
// kubeconfig's context.
func (f *Flags) Lookup() (server *lookup.Server, namespace string, err error) {
	config, err := f.RESTConfig()
	if err != nil {
		return nil, "", err
	}
	if namespace, err = f.Namespace(); err != nil {
		return nil, "", err
	}
	server, err = lookup.Connect(config)
	return server, namespace, err
}

// Live returns a reader of an installation's objects.
func (f *Flags) Live() (*live.Cluster, error) {
	config, err := f.RESTConfig()
	if err != nil {
		return nil, err
	}
	return live.Connect(config)
}
