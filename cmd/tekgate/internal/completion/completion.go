// Package completion completes the values of flags and arguments in shells.
//
// It is a table of flags by name, and not a part of each verb: a flag of one name has the same
// values everywhere. Values that are in the cluster are read with the flags that stand on the
// command line already, in at most three seconds; where that fails there is nothing to complete,
// and the reason is in what cobra writes for BASH_COMP_DEBUG_FILE.
package completion

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/validator"
)

// Resources whose names complete flags and arguments.
var (
	Namespaces      = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	Secrets         = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	ServiceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	TaskRuns        = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "taskruns"}
	PipelineRuns    = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}
	Triggers        = schema.GroupVersionResource{
		Group: "triggers.tekton.dev", Version: "v1beta1", Resource: "triggers",
	}
)

// byFlag completes flags by their names, wherever a command has them.
var byFlag = map[string]cobra.CompletionFunc{
	"namespace":         Objects(Namespaces),
	"deploy-namespace":  Objects(Namespaces),
	"tekgate-namespace": Objects(Namespaces),
	"service-account":   Objects(ServiceAccounts),
	"trigger":           Objects(Triggers),
	"provider":          values(providers),
	"mirror":            values(presets),
	"from":              values(presets),
	"rule":              values(rules),
	"only":              values(rules),
	"except":            values(rules),
	"mode":              modes,
	"severity":          fixed("error", "warning", "info"),
	"fail-on":           fixed("error", "warning", "info", "never"),
	"version":           values(lines),
	"to":                values(lines),
	"via":               values(lines),
	"with":              values(components),
	"state":             fixed("pending", "success", "failure", "error"),
	"expose":            fixed("ingress", "gateway", "none"),
}

// byCommand completes flags that have other values in one command.
var byCommand = map[string]cobra.CompletionFunc{
	"lint --explain":                values(rules),
	"credentials explain --secret":  Objects(Secrets),
	"hook register --provider":      values(forges),
	"hook unregister --provider":    values(forges),
	"hook status --provider":        values(forges),
	"hook report-status --provider": values(forges),
}

// byConnection completes the flags of the kubeconfig.
var byConnection = map[string]cobra.CompletionFunc{
	"context": kubeconfig(kubeflags.Contexts),
	"cluster": kubeconfig(kubeflags.Clusters),
	"user":    kubeconfig(kubeflags.Users),
}

// byArgument completes the arguments of commands.
var byArgument = map[string]cobra.CompletionFunc{"why": runs}

// runs completes the kind of a run, and names of that kind, or of both where none is given.
func runs(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		names, directive := Objects(PipelineRuns, TaskRuns)(cmd, args, prefix)
		return append([]cobra.Completion{"pipelinerun", "taskrun"}, names...), directive
	case len(args) > 1:
		return nil, noFiles
	case strings.HasPrefix(args[0], "t"):
		return Objects(TaskRuns)(cmd, args, prefix)
	}
	return Objects(PipelineRuns)(cmd, args, prefix)
}

// takesFiles are the commands whose arguments are files. To the others a shell offers none.
var takesFiles = []string{"credentials ca", "hook explain", "images load", "images save", "lint", "migrate", "scan"}

// Add completes the values of all commands below root.
func Add(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		addTo(cmd)
		Add(cmd)
	}
}

func addTo(cmd *cobra.Command) {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ")
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		complete := byFlag[flag.Name]
		if own, has := byCommand[path+" --"+flag.Name]; has {
			complete = own
		} else if kubeflags.Owns(flag) {
			complete = byConnection[flag.Name]
		}
		if complete != nil && flag.Value.Type() != "bool" {
			cli.Complete(cmd, flag.Name, complete)
		}
	})
	if complete, has := byArgument[path]; has {
		cmd.ValidArgsFunction = complete
	}
	if cmd.ValidArgsFunction == nil && cmd.Runnable() && !slices.Contains(takesFiles, path) {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// noFiles tells the shell to offer no files in place of values.
const noFiles = cobra.ShellCompDirectiveNoFileComp

func fixed(list ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(list, noFiles)
}

// values completes values that need no cluster.
func values(list func() []cobra.Completion) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return list(), noFiles
	}
}

func kubeconfig(names func(clientcmdapi.Config) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		k, _ := kubeflags.Of(cmd)
		return names(k.Config()), noFiles
	}
}

// Objects completes the names of objects of some kinds in the namespace of --namespace, or else of
// the context. It completes flags, and arguments such as the names of runs.
func Objects(resources ...schema.GroupVersionResource) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		k, ok := kubeflags.Of(cmd)
		if !ok {
			return nil, noFiles
		}
		namespace, err := namespaceOf(cmd, k)
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
			return nil, noFiles
		}
		var names []cobra.Completion
		for _, resource := range resources {
			within := namespace
			if resource == Namespaces {
				within = ""
			}
			found, err := k.Names(cmd.Context(), resource, within)
			if err != nil {
				cobra.CompDebugln(err.Error(), false)
			}
			names = append(names, found...)
		}
		slices.Sort(names)
		return slices.Compact(names), noFiles
	}
}

// namespaceOf returns the namespace that a command line names.
func namespaceOf(cmd *cobra.Command, k *kubeflags.Flags) (string, error) {
	if flag := cmd.Flags().Lookup("namespace"); flag != nil {
		if list, several := flag.Value.(pflag.SliceValue); several && len(list.GetSlice()) > 0 {
			return list.GetSlice()[0], nil
		} else if !several && flag.Value.String() != "" {
			return flag.Value.String(), nil
		}
	}
	return k.Namespace()
}

func presets() []cobra.Completion {
	var list []cobra.Completion
	for _, p := range image.Presets {
		list = append(list, cobra.CompletionWithDesc(p.Name, p.Doc))
	}
	return list
}

// rules returns the rules that are built in; those of a configuration are not read.
func rules() []cobra.Completion {
	var list []cobra.Completion
	for _, rule := range slices.Concat(validator.Rules, findings.LintRules) {
		list = append(list, rule.ID)
	}
	return list
}

func providers() []cobra.Completion {
	var list []cobra.Completion
	for _, p := range provider.All {
		list = append(list, p.Name)
	}
	return list
}

func forges() []cobra.Completion {
	var list []cobra.Completion
	for _, f := range forge.All {
		list = append(list, cobra.CompletionWithDesc(string(f), f.Title()))
	}
	return list
}

// modes completes the modes of the provider that is named, or those of all.
func modes(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	of := ""
	if flag := cmd.Flags().Lookup("provider"); flag != nil {
		of = flag.Value.String()
	}
	var list []cobra.Completion
	for _, p := range provider.All {
		if of != "" && of != p.Name {
			continue
		}
		for _, mode := range p.Modes {
			list = append(list, mode.Name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), noFiles
}

func lines() []cobra.Completion {
	var list []cobra.Completion
	for _, line := range release.Lines {
		doc := fmt.Sprintf("Pipelines %s, Triggers %s", line.Pipeline, line.Triggers)
		list = append(list, cobra.CompletionWithDesc(line.Name, doc))
	}
	return list
}

// components returns those that are installed only if they are named.
func components() []cobra.Completion { return release.ComponentNames()[2:] }

// Flags returns the flags that have completions, such as --mirror, or lint --explain for one command.
func Flags() []string {
	var flags []string
	for _, table := range []map[string]cobra.CompletionFunc{byFlag, byConnection} {
		for flag := range table {
			flags = append(flags, "--"+flag)
		}
	}
	return slices.AppendSeq(flags, maps.Keys(byCommand))
}

// FileCommands returns the commands whose arguments are files.
func FileCommands() []string { return slices.Clone(takesFiles) }
