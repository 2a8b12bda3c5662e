// Package kubeflags connects to the cluster that kubectl's flags and configuration name.
//
// The flags are those of k8s.io/cli-runtime, so they mean what they mean to kubectl, with these
// exceptions:
//
//   - A flag that the verb has itself keeps the verb's meaning, and the one of the same name is left
//     out there, with its letter: --server of `credentials registry` is a registry.
//   - --namespace is left out everywhere. Verbs that work in a namespace have their own, some with
//     another default than the context's, and to the others it would promise a limit that they do
//     not have: `uninstall -n ci` must be an error.
//   - --token is left out of the verbs that take the token of a forge, and take it from a file: there
//     it would be mistaken for that one, which has to stay off command lines.
//   - --cache-dir is accepted for scripts that pass it to all of kubectl's plugins. Nothing is
//     cached: an installer must not act on an old answer about which kinds are served.
//   - Without a kubeconfig there is no default of http://localhost:8080: that is an error which
//     says that no cluster is named.
//
// Verbs add their own flags before they call Add if one of them has the name of one of these.
package kubeflags

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/manifests"
)

// Flags name a cluster: they are kubectl's flags of the same names. Without Add they name the one
// of the kubeconfig.
type Flags struct {
	config *genericclioptions.ConfigFlags
	added  []*pflag.Flag
}

// usages describe the flags in the words of the other flags.
var usages = map[string]string{
	"as":                       "`USER` to act as, also system:serviceaccount:NAMESPACE:NAME",
	"as-group":                 "`GROUP` to act as a member of (repeatable)",
	"as-uid":                   "`UID` to act with",
	"as-user-extra":            "`KEY=VALUE` of the user to act as (repeatable)",
	"cache-dir":                "accepted as kubectl's `FOLDER`; nothing is cached",
	"certificate-authority":    "`FILE` with the API server's authority",
	"client-certificate":       "`FILE` with a client certificate",
	"client-key":               "`FILE` with its key",
	"cluster":                  "`NAME` of the kubeconfig's cluster",
	"context":                  "`NAME` of the kubeconfig's context",
	"disable-compression":      "ask for answers that are not compressed",
	"insecure-skip-tls-verify": "do not verify the API server's certificate, which lets others read and change the connection",
	"kubeconfig":               "kubeconfig `FILE` (default: $KUBECONFIG, or ~/.kube/config)",
	"proxy-url":                "`URL` of a proxy for requests to the API server",
	"request-timeout":          "`DURATION` that one request may take, such as 30s; 0 for no limit",
	"server":                   "`ADDRESS` of the API server",
	"tls-server-name":          "`NAME` in the API server's certificate, where it is not that of the address",
	"token":                    "bearer `TOKEN` for the API server",
	"user":                     "`NAME` of the kubeconfig's user",
}

// owned is the annotation of the flags that Add adds.
const owned = "tekgate.dev/kubeconfig"

// Add adds the flags to a command, without those that would be mistaken for something else there.
func (f *Flags) Add(cmd *cobra.Command, without ...string) {
	f.config = genericclioptions.NewConfigFlags(true)
	f.config.Namespace = nil
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.config.AddFlags(all)
	flags := cmd.Flags()
	all.VisitAll(func(flag *pflag.Flag) {
		if flags.Lookup(flag.Name) != nil || slices.Contains(without, flag.Name) {
			return
		}
		if flag.Shorthand != "" && flags.ShorthandLookup(flag.Shorthand) != nil {
			flag.Shorthand = ""
		}
		if usage := usages[flag.Name]; usage != "" {
			flag.Usage = usage
		}
		if flag.Name == "cache-dir" {
			flag.DefValue = "" // it is a path of this machine
		}
		flag.Annotations = map[string][]string{owned: nil}
		if flag.Name == "token" {
			cli.Secret(flag)
		}
		flags.AddFlag(flag)
		f.added = append(f.added, flag)
	})
}

// Names are the names of all the flags that a command may have.
func Names() []string {
	names := make([]string, 0, len(usages))
	for name := range usages {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Empty reports whether no flag was given.
func (f *Flags) Empty() bool {
	return !slices.ContainsFunc(f.added, func(flag *pflag.Flag) bool { return flag.Changed })
}

// flags returns the values of the flags.
func (f *Flags) flags() *genericclioptions.ConfigFlags {
	if f.config == nil {
		f.config = genericclioptions.NewConfigFlags(true)
		f.config.Namespace = nil
	}
	return f.config
}

// Namespace returns the namespace of the kubeconfig's context.
func (f *Flags) Namespace() (string, error) {
	namespace, _, err := f.flags().ToRawKubeConfigLoader().Namespace()
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
	if *f.flags().KubeConfig != "" {
		return nil
	}
	return slices.DeleteFunc(filepath.SplitList(os.Getenv(clientcmd.RecommendedConfigPathEnvVar)),
		func(file string) bool {
			_, err := os.Stat(file)
			return file == "" || !errors.Is(err, os.ErrNotExist)
		})
}

// fallback is the server of kubectl where no cluster is named.
const fallback = "http://localhost:8080"

// named reports whether flags, files, the environment or a Pod name the server of a connection.
func (f *Flags) named(config *rest.Config) bool {
	if config.Host != fallback || *f.flags().APIServer != "" {
		return true
	}
	raw, err := f.flags().ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return false
	}
	for _, cluster := range raw.Clusters {
		if cluster.Server == fallback {
			return true
		}
	}
	return false
}

// userAgent is the same under all names of the program: the API server takes the part before the slash for
// the field manager of what is written without one.
var userAgent = fmt.Sprintf("tekgate/%s (%s/%s)", manifests.Version, runtime.GOOS, runtime.GOARCH)

// RESTConfig returns how to connect to the cluster.
func (f *Flags) RESTConfig() (*rest.Config, error) {
	kubeconfig := *f.flags().KubeConfig
	config, err := f.flags().ToRESTConfig()
	missing := f.missing()
	unnamed := clientcmd.IsEmptyConfig(err) || err == nil && !f.named(config)
	switch {
	case unnamed && len(missing) > 0:
		return nil, &MissingError{missing}
	case unnamed:
		return nil, errors.New(
			"no cluster is named: pass --kubeconfig, set KUBECONFIG, or put a kubeconfig at ~/.kube/config")
	case err != nil && kubeconfig != "":
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	case err != nil:
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// The API server's warnings are about objects that the user has not written: those
	// of a release, and those that a dry run creates. Without this controller-runtime
	// logs them, and prints a stack after half a minute without a logger.
	config.WarningHandler = rest.NoWarnings{}
	config.UserAgent = userAgent
	return config, nil
}

// Client returns a client for unstructured objects and for the given types.
func (f *Flags) Client(types ...func(*apiruntime.Scheme) error) (client.Client, error) {
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
