package kubeflags

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/metadata"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Owns reports whether a flag is one that Add has added.
func Owns(flag *pflag.Flag) bool {
	_, is := flag.Annotations[owned]
	return is
}

// Of returns the flags of a command, with the values that its command line gave them; ok is false
// if it has none. The values of a flag that the command has itself are not among them.
func Of(cmd *cobra.Command) (f *Flags, ok bool) {
	f = &Flags{config: genericclioptions.NewConfigFlags(true)}
	f.config.Namespace = nil
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.config.AddFlags(all)
	all.VisitAll(func(flag *pflag.Flag) {
		given := cmd.Flags().Lookup(flag.Name)
		if given == nil || !Owns(given) {
			return
		}
		ok = true
		if list, is := given.Value.(pflag.SliceValue); is && given.Changed {
			for _, value := range list.GetSlice() {
				ok = flag.Value.Set(value) == nil && ok
			}
		} else if given.Changed {
			ok = flag.Value.Set(given.Value.String()) == nil && ok
		}
	})
	return f, ok
}

// Config returns the kubeconfig, which is empty if it cannot be read.
func (f *Flags) Config() clientcmdapi.Config {
	raw, err := f.flags().ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return clientcmdapi.Config{}
	}
	return raw
}

// Contexts returns the names of the contexts.
func Contexts(config clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(config.Contexts)) }

// Clusters returns the names of the clusters.
func Clusters(config clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(config.Clusters)) }

// Users returns the names of the users.
func Users(config clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(config.AuthInfos)) }

// Limits of what a completion asks a cluster for: a shell waits for it.
const (
	mostNames = 500
	patience  = 3 * time.Second
)

// Names returns the names of the first 500 objects of a resource in a namespace, "" for all of them.
func (f *Flags) Names(ctx context.Context, resource schema.GroupVersionResource, namespace string) ([]string, error) {
	config, err := f.RESTConfig()
	if err != nil {
		return nil, err
	}
	if config.Timeout == 0 || config.Timeout > patience {
		config.Timeout = patience
	}
	reader, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	list, err := reader.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: mostNames})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}
