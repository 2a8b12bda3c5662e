// Package why explains why runs hang or failed.
//
// It reads what the explanation of a run may need with few requests: the run, its Pods by
// label, the events of those Pods, and then only what the causes found so far ask for. No
// request lists all runs of a namespace, unless the user asks about all.
package why

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/diagnosis"
)

// unanswered is the exit status where the question could not be answered.
const unanswered = 2

// foundError is the error of a command that found causes. They are printed already.
type foundError string

func (e foundError) Error() string { return string(e) }

// options are what the command line selects.
type options struct {
	kube       kubeflags.Flags
	registries release.Registries
	output     cli.Output

	namespace string
	all       bool
	failed    bool
	since     time.Duration
	offline   bool
	timeout   time.Duration
}

// Command returns the command.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "why {[taskrun|pipelinerun] NAME | --failed}",
		Short: "Explain why a run hangs or failed, and how to fix it",
		Long: `Explain why a TaskRun or PipelineRun hangs or failed: one sentence for each cause,
with the object, the reason and the remedy. The cause nearest to the root comes first.

The run, its TaskRuns, Pods, containers, events and the last lines of the failed step's
log are read, and then only what the causes found so far ask for: the ServiceAccount and
its Secrets, Tekton's controllers, nodes, and the configuration of Tekgate. Nothing is
written. What you may not read is listed, and the rest is answered. Of Secrets only the
servers and user names are used; credentials in messages and logs are masked.

Registries are asked whether they have an image that could not be pulled, with the run's
own pull Secrets, from this machine. --offline switches that off.

With --failed all failed runs are explained, grouped by cause.

The exit status is 0 if nothing is known to hold up the run, 1 if causes were found, and 2
if the question could not be answered. docs/troubleshooting.md lists all causes.`,
		Example: `  tekgate why build-7xk2p -n ci

  # all runs of the last hour that failed, grouped by cause
  tekgate why --failed -A --since 1h

  # for programs
  tekgate why pipelinerun release-42 -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			return cli.Exit(unanswered, cobra.MaximumNArgs(2)(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.run(cmd.Context(), cli.StreamsOf(cmd), args)
			var found foundError
			if errors.As(err, &found) {
				return cli.Exit(1, err)
			}
			return cli.Exit(unanswered, o.output.Fail(cmd.OutOrStdout(), err))
		},
	}
	cli.FlagErrors(cmd, unanswered)
	o.kube.Add(cmd)
	o.registries.Flags(cmd)
	o.output.Flag(cmd, "causes", append([]string{"text"}, cli.Rows...)...)
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", "", "`NAMESPACE` of the run (default: that of the kubeconfig's context)")
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "with --failed: the runs of all namespaces")
	f.BoolVar(&o.failed, "failed", false, "explain all failed runs, grouped by cause")
	f.DurationVar(&o.since, "since", time.Hour, "with --failed: how long ago runs may have ended")
	f.BoolVar(&o.offline, "offline", false, "ask no registry")
	f.DurationVar(&o.timeout, "registry-timeout", time.Second, "how long registries may take to answer")
	return cmd
}

// question returns the kinds and the name that the arguments ask about.
func (o *options) question(args []string) (kinds []string, name string, err error) {
	switch {
	case o.failed && len(args) > 0:
		return nil, "", errors.New("pass either a run or --failed")
	case o.failed && o.all && o.namespace != "":
		return nil, "", errors.New("--namespace and --all-namespaces contradict each other: leave one out")
	case o.failed && o.since <= 0:
		return nil, "", fmt.Errorf("--since is %s: pass how long ago runs may have ended, such as 1h", o.since)
	case o.failed:
		return nil, "", nil
	case o.all:
		return nil, "", errors.New("--all-namespaces is for --failed: name the run's namespace with -n")
	case len(args) == 0:
		return nil, "", errors.New("no run: pass the name of a TaskRun or PipelineRun, or --failed")
	case len(args) == 1:
		kind, name, found := strings.Cut(args[0], "/")
		if !found {
			return []string{"PipelineRun", "TaskRun"}, args[0], nil
		}
		args = []string{kind, name}
	}
	switch strings.ToLower(args[0]) {
	case "taskrun", "taskruns", "tr", "trs":
		return []string{"TaskRun"}, args[1], nil
	case "pipelinerun", "pipelineruns", "pr", "prs":
		return []string{"PipelineRun"}, args[1], nil
	}
	return nil, "", fmt.Errorf("kind %q is not known: pass taskrun or pipelinerun", args[0])
}

func (o *options) run(ctx context.Context, s cli.Streams, args []string) error {
	if err := o.output.Check(); err != nil {
		return err
	}
	kinds, name, err := o.question(args)
	if err != nil {
		return err
	}
	config, err := o.kube.RESTConfig()
	if err != nil {
		return err
	}
	if o.namespace == "" && !o.all {
		if o.namespace, err = o.kube.Namespace(); err != nil {
			return err
		}
	}
	r, err := newReader(config)
	if err != nil {
		return err
	}
	if !o.offline {
		options := o.registries.Options()
		r.registries, r.timeout = &options, o.timeout
	}
	r.limit = mostRequests
	if o.failed {
		r.limit = 0
		return o.failures(ctx, s, r)
	}
	run, err := r.find(ctx, kinds, o.namespace, name)
	if err != nil {
		return err
	}
	result := answer{Run: run, Causes: withHints(r.explain(ctx, run)), NotRead: r.gaps}
	result.State, result.Reason = r.summary(run)
	return result.print(s, o.output)
}

// failures explains all failed runs.
func (o *options) failures(ctx context.Context, s cli.Streams, r *reader) error {
	namespace := o.namespace
	if o.all {
		namespace = ""
	}
	runs, err := r.failed(ctx, namespace, o.since)
	if err != nil {
		return err
	}
	return groupByCause(runs, r.explainAll(ctx, runs), r.gaps).print(s, o)
}

// Sentences returns a function that returns the first sentence about a run: "" if nothing is
// known to hold it up, or the cluster does not answer. It asks no registry.
func Sentences(config *rest.Config) (func(ctx context.Context, namespace, kind, name string) string, error) {
	if _, err := newReader(config); err != nil {
		return nil, err
	}
	return func(ctx context.Context, namespace, kind, name string) string {
		r, err := newReader(config)
		if err != nil {
			return ""
		}
		r.limit = mostRequests
		run, err := r.find(ctx, []string{kind}, namespace, name)
		if err != nil {
			return ""
		}
		if causes := r.explain(ctx, run); len(causes) > 0 {
			return causes[0].String()
		}
		return ""
	}, nil
}

// summary returns the state of a run in a word, and Tekton's reason.
func (r *reader) summary(run diagnosis.Key) (state, reason string) {
	return diagnosis.Summary(r.state.Get(run.Kind, run.Namespace, run.Name))
}
