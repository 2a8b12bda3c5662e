// Package watch shows PipelineRuns and TaskRuns as they happen.
//
// Informers keep the runs: one watch for each kind, whose initial list is streamed or read in
// pages. Runs are decoded to the few fields that are shown, so that thousands of them stay small.
package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/replicas"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// options are the flags.
type options struct {
	kube             kubeflags.Flags
	output           cli.Output
	namespace        string
	all              bool
	selector         string
	once             bool
	watchOnly        bool
	events           bool
	tekgateNamespace string
}

// Command returns the command. sentence returns the function that says why a run of a cluster
// failed; without one, Tekton's own message is shown.
func Command(sentence func(*rest.Config) (Sentence, error)) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show runs as they happen",
		Long: `Show PipelineRuns, and the TaskRuns that belong to none of them, as they happen:
which event started each, for how long it runs, its state, and why it failed.

On a terminal this is a table that updates itself, with the running and the newest
runs. Elsewhere, and with -o json, it is one line for each run that exists and then
one for each change of a state. After an outage of the API server it goes on where
it was. Ctrl-C ends it.

CAUSE is the event, if Tekton Triggers started the run: its id is on the run, and
forge, commit and sender are from what Tekgate's interceptor recorded about the event
(see ` + "`tekgate hook deliveries`" + `). That record is kept in the interceptor's memory, so it
lacks older events; to read it, you need the right to list Pods and to create
pods/portforward in Tekgate's namespace.`,
		Example: `  tekgate watch -n ci
  tekgate watch -A -l app=web
  tekgate watch -A -l tekton.dev/pipelineRun       # the TaskRuns of PipelineRuns
  tekgate watch -A --watch-only -o json | jq -r 'select(.state == "Failed") | .name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return o.run(cmd.Context(), cli.StreamsOf(cmd), sentence)
		},
	}
	o.kube.Add(cmd)
	o.output.Table(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", "", "`NAMESPACE` of the runs (default: that of the kubeconfig's context)")
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "show the runs of all namespaces")
	f.StringVarP(&o.selector, "selector", "l", "", "only runs whose labels match `SELECTOR`, such as app=web")
	f.BoolVar(&o.once, "once", false, "print the runs that exist and end")
	f.BoolVar(&o.watchOnly, "watch-only", false, "print only changes from now on, as lines")
	f.BoolVar(&o.events, "events", true, "show forge, commit and sender of events, from the interceptor's record")
	f.StringVar(&o.tekgateNamespace, "tekgate-namespace", wellknown.TekgateNamespace,
		"`NAMESPACE` that the interceptor runs in")
	return cmd
}

func (o *options) check() error {
	switch {
	case o.namespace != "" && o.all:
		return errors.New("--namespace and --all-namespaces contradict each other: leave one out")
	case o.once && o.watchOnly:
		return errors.New("--once and --watch-only contradict each other: leave one out")
	}
	return o.output.Check()
}

// quiet keeps client-go from logging each failed request to the terminal: outages are reported once.
var quiet = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

func (o *options) run(ctx context.Context, streams cli.Streams, sentence func(*rest.Config) (Sentence, error)) error {
	quiet()
	config, err := o.kube.RESTConfig()
	if err != nil {
		return err
	}
	if o.namespace == "" && !o.all {
		if o.namespace, err = o.kube.Namespace(); err != nil {
			return err
		}
	}
	v := &view{options: o, streams: streams, now: time.Now}
	if cli.IsTerminal(streams.Out) && !o.output.ForPrograms() && !o.once && !o.watchOnly {
		v.screen = newScreen(streams)
		v.streams.ErrOut = v.screen // which shows messages when the terminal is the user's again
	}
	if v.sources, err = sources(ctx, config, o, v.streams); err != nil {
		return err
	}
	if v.details, err = o.details(ctx, config, v.streams, sentence); err != nil {
		return err
	}
	switch {
	case o.once:
		return v.once(ctx)
	case v.screen != nil:
		return v.table(ctx)
	}
	return v.lines(ctx)
}

func (o *options) details(
	ctx context.Context, config *rest.Config, streams cli.Streams, sentence func(*rest.Config) (Sentence, error),
) (*details, error) {
	d := newDetails(func(err error) { streams.Warn(err) })
	if o.events {
		d.source = o.deliveries(ctx, streams)
	}
	if sentence == nil {
		return d, nil
	}
	var err error
	if d.sentence, err = sentence(config); err != nil {
		return nil, fmt.Errorf("preparing to explain failures: %w", err)
	}
	return d, nil
}

// deliveries returns what reads the interceptor's record. It looks for the interceptor when it is
// first used, which takes a run that an event started.
func (o *options) deliveries(life context.Context, streams cli.Streams) deliveries.Source {
	var source deliveries.Source // of one connection, which ends with the interceptor's Pods
	disconnect := func() {}
	return func(ctx context.Context, filter deliveries.Filter) (list []deliveries.Delivery, err error) {
		if source == nil {
			warn := func(err error) { streams.Warn(err) }
			disconnect()
			var connection context.Context
			connection, disconnect = context.WithCancel(life)
			if source, err = replicas.Source(connection, &o.kube, o.tekgateNamespace, nil, warn); err != nil {
				return nil, err
			}
		}
		if list, err = source(ctx, filter); err != nil {
			source = nil
		}
		return list, err
	}
}

// view shows runs.
type view struct {
	options *options
	streams cli.Streams
	sources []*source
	details *details
	screen  *screen // nil where the output is no terminal
	now     func() time.Time
}

// once prints the runs that exist, the newest and running first.
func (v *view) once(ctx context.Context) error {
	var runs []*Run
	for _, s := range v.sources {
		if err := s.list(ctx, func(r *Run) { runs = append(runs, r) }); err != nil {
			return err
		}
	}
	sortRuns(runs)
	found := v.details.initial(ctx, runs)
	if v.options.output.ForPrograms() {
		for _, r := range runs {
			if err := v.print(r, found[r.Metadata.UID]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(runs) == 0 {
		fmt.Fprintf(v.streams.ErrOut, "there are no runs%s\n", cli.InNamespace(v.options.namespace))
		return nil
	}
	rows := [][]string{headings(v.options.all)}
	for _, r := range runs {
		shown := newRow(r, found[r.Metadata.UID], v.now())
		rows = append(rows, shown.cells(v.options.all))
	}
	width, _ := size(v.streams.Out)
	for _, line := range table(rows, width) {
		if _, err := fmt.Fprintln(v.streams.Out, line); err != nil {
			return err
		}
	}
	return nil
}
