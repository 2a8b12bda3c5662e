package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/replicas"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/internal/wellknown"
)

func deliveriesCommand() *cobra.Command {
	var (
		r      replicaFlags
		filter deliveries.Filter
		output cli.Output
		watch  bool
		serve  string
	)
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "List what the interceptor decided lately, and why",
		Long: `List the last events of each trigger with their verdicts, the newest last, and for
those that were refused what the EventListener was told. Payloads, headers and
secrets are not kept. Every replica has its own in memory, since it started; they
are read from all of them, through the API server: it takes the right to list Pods
and to create pods/portforward in Tekgate's namespace.

--serve shows the same as a page for a browser.`,
		Example: `  tekgate hook deliveries --refused -n ci
  tekgate hook deliveries --event-id 2f6c0f6e-6a0a-4a52-a5cb-0b8b8b1d7b8e
  tekgate hook deliveries --serve 127.0.0.1:8082`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			source, err := r.source(cmd.Context(), cli.StreamsOf(cmd))
			switch {
			case err != nil:
				return err
			case serve != "":
				return serveDeliveries(cmd.Context(), cli.StreamsOf(cmd), serve, source)
			case watch:
				return watchDeliveries(cmd.Context(), cli.StreamsOf(cmd), source, filter, &output)
			}
			return listDeliveries(cmd.Context(), cli.StreamsOf(cmd), source, filter, &output)
		},
	}
	r.flags(cmd)
	output.Table(cmd)
	f := cmd.Flags()
	f.StringVarP(&filter.Namespace, "namespace", "n", "", "only those of triggers in this `NAMESPACE`")
	f.StringVar(&filter.Trigger, "trigger", "",
		"only those of the trigger of this `NAME`, or of the trigger group group/NAME")
	f.StringVar(&filter.Reason, "reason", "", "only those with this `REASON`")
	f.StringVar(&filter.EventID, "event-id", "",
		"only those with this `ID`, which the EventListener answers with and the runs bear as a label")
	f.BoolVar(&filter.Refused, "refused", false, "only those that were refused")
	f.IntVar(&filter.Limit, "limit", 50, "`NUMBER` of deliveries, the newest; 0 for all")
	f.BoolVarP(&watch, "watch", "w", false, "go on and print new ones as they come")
	f.StringVar(&serve, "serve", "", "serve a page on this loopback `ADDRESS`, such as 127.0.0.1:8082")
	return cmd
}

// replicaFlags say where the deliveries are.
type replicaFlags struct {
	kube      kubeflags.Flags
	namespace string
	urls      []string
}

func (r *replicaFlags) flags(cmd *cobra.Command) {
	r.kube.Add(cmd)
	r.placeFlags(cmd)
}

func (r *replicaFlags) placeFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.namespace, "tekgate-namespace", wellknown.TekgateNamespace,
		"`NAMESPACE` that the interceptor runs in")
	cmd.Flags().StringArrayVar(&r.urls, "replica", nil,
		"`URL` of a replica's deliveries, such as http://127.0.0.1:8082, in place of asking the cluster; may be repeated")
}

// source returns what reads from all replicas and puts it together.
func (r *replicaFlags) source(ctx context.Context, streams cli.Streams) (deliveries.Source, error) {
	return replicas.Source(ctx, &r.kube, r.namespace, r.urls, func(err error) { streams.Warn(err) })
}

func listDeliveries(
	ctx context.Context, streams cli.Streams, source deliveries.Source, filter deliveries.Filter, output *cli.Output,
) error {
	list, err := source(ctx, filter)
	switch {
	case err != nil:
		return err
	case output.ForPrograms():
		return output.Print(streams.Out, delivered(list), nil)
	case len(list) == 0:
		fmt.Fprintln(streams.ErrOut,
			"there are none: no event has reached the interceptor since its replicas started, or none that is asked for; an EventListener that cannot reach it logs an error")
		return nil
	}
	return printDeliveries(streams.Out, list, true)
}

// printDeliveries prints a table, the newest last, as a log reads.
func printDeliveries(out io.Writer, list []deliveries.Delivery, heading bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if heading {
		fmt.Fprintf(w, "TIME\tTRIGGER\tPROVIDER\tEVENT\tREPOSITORY\tVERDICT\tREASON\tTOOK\tEVENT ID\n")
	}
	for i := len(list) - 1; i >= 0; i-- {
		d := &list[i]
		verdict := "stop"
		if d.Continue {
			verdict = "continue"
		}
		fmt.Fprintf(w, "%s\t%s/%s\t%s\t%s\t%s\t%s\t%s\t%.1fms\t%s\n", d.Time.UTC().Format(time.RFC3339),
			plain(d.Namespace), plain(d.Trigger),
			cli.OrDash(d.Provider), cli.OrDash(plain(d.Event)), cli.OrDash(plain(d.Repository)), verdict, d.Reason,
			d.Milliseconds, plain(d.EventID))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, line := range reasons(list) {
		fmt.Fprintln(out, line)
	}
	return nil
}

// reasons returns, once each, what EventListeners were told and what they were not.
func reasons(list []deliveries.Delivery) []string {
	var lines []string
	seen := map[string]bool{}
	for i := range list {
		d := &list[i]
		line := "\n" + d.Reason + ": " + plain(d.Message)
		if d.Cause != "" {
			line += "\n  cause: " + plain(d.Cause)
		}
		if d.Message != "" && !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
	}
	return lines
}

// fetchTimeout bounds a request for what happens nearby.
const fetchTimeout = 10 * time.Second

const watchEvery = 2 * time.Second

func watchDeliveries(
	ctx context.Context, streams cli.Streams, source deliveries.Source, filter deliveries.Filter, output *cli.Output,
) error {
	seen := map[string]bool{} // what the last answer held
	for heading := true; ; heading = false {
		list, err := source(ctx, filter)
		if err != nil {
			return err
		}
		var fresh []deliveries.Delivery
		now := make(map[string]bool, len(list))
		for i := range list {
			d := &list[i]
			key := fmt.Sprint(d.Replica, d.Number, d.Time.UnixNano())
			now[key] = true
			if !seen[key] {
				fresh = append(fresh, *d)
			}
		}
		seen = now
		if err := printFresh(streams.Out, fresh, heading, output); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// printFresh prints each delivery by itself for programs, which read a stream.
func printFresh(out io.Writer, fresh []deliveries.Delivery, heading bool, output *cli.Output) error {
	if !output.ForPrograms() {
		return printDeliveries(out, fresh, heading)
	}
	for i := len(fresh) - 1; i >= 0; i-- {
		if err := output.Each(out, oneDelivery{fresh[i]}); err != nil {
			return err
		}
	}
	return nil
}

// delivered are deliveries, the newest first.
type delivered []deliveries.Delivery

// Names returns the ids of their events.
func (d delivered) Names() []string {
	names := make([]string, 0, len(d))
	for i := range d {
		names = append(names, plain(d[i].EventID))
	}
	return names
}

// oneDelivery is a delivery of a stream.
type oneDelivery struct{ deliveries.Delivery }

// Names returns the id of its event.
func (d oneDelivery) Names() []string { return delivered{d.Delivery}.Names() }

// serveDeliveries serves the page until it is interrupted.
func serveDeliveries(ctx context.Context, streams cli.Streams, address string, source deliveries.Source) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf(
			"reading --serve %q: it has to be a port on loopback, such as 127.0.0.1:8082, since nobody is asked who he is",
			address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serving the deliveries: %w", err)
	}
	fmt.Fprintf(streams.ErrOut, "serving the deliveries at http://%s until interrupted\n", listener.Addr())
	server := &http.Server{Handler: deliveries.Handler(source), ReadHeaderTimeout: fetchTimeout}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody is left to tell
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the deliveries: %w", err)
	}
	return nil
}
