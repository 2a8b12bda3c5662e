package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// deliveriesPort is where each replica serves them, on its loopback.
const deliveriesPort = 8082

func deliveriesCommand() *cobra.Command {
	var (
		r      replicas
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

// replicas says where the deliveries are.
type replicas struct {
	kube      kubeflags.Flags
	namespace string
	urls      []string
}

func (r *replicas) flags(cmd *cobra.Command) {
	r.kube.Add(cmd)
	r.placeFlags(cmd)
}

func (r *replicas) placeFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.namespace, "tekgate-namespace", wellknown.TekgateNamespace,
		"`NAMESPACE` that the interceptor runs in")
	cmd.Flags().StringArrayVar(&r.urls, "replica", nil,
		"`URL` of a replica's deliveries, such as http://127.0.0.1:8082, in place of asking the cluster; may be repeated")
}

// source returns what reads from all replicas and puts it together.
func (r *replicas) source(ctx context.Context, streams cli.Streams) (deliveries.Source, error) {
	warn := func(err error) { fmt.Fprintln(streams.ErrOut, "warning:", err) }
	places := r.urls
	if len(places) == 0 {
		open, err := forward(ctx, &r.kube, r.namespace, deliveriesPort, warn)
		if err != nil {
			return nil, err
		}
		for _, f := range open {
			places = append(places, "http://"+f.address)
		}
	}
	return merged(places, warn), nil
}

// merged asks all places at once. Those that do not answer are left out, as long as
// one does; each is warned of once.
func merged(places []string, warn func(error)) deliveries.Source {
	var mu sync.Mutex
	warned := map[string]bool{}
	return func(ctx context.Context, filter deliveries.Filter) ([]deliveries.Delivery, error) {
		lists, errs := make([][]deliveries.Delivery, len(places)), make([]error, len(places))
		var group sync.WaitGroup
		for i, place := range places {
			group.Go(func() { lists[i], errs[i] = fetchDeliveries(ctx, place, filter) })
		}
		group.Wait()
		var all []deliveries.Delivery
		var problems []error
		for i := range places {
			all = append(all, lists[i]...)
			if errs[i] != nil {
				problems = append(problems, errs[i])
			}
		}
		if len(problems) == len(places) {
			return nil, errors.Join(problems...)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, p := range problems {
			if !warned[p.Error()] {
				warned[p.Error()] = true
				warn(p)
			}
		}
		return filter.Apply(all), nil
	}
}

const fetchTimeout = 10 * time.Second

func fetchDeliveries(ctx context.Context, place string, filter deliveries.Filter) ([]deliveries.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	address := strings.TrimSuffix(place, "/") + deliveries.JSONPath + "?" + filter.Values().Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the deliveries: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading the deliveries: %w", err)
	}
	defer response.Body.Close()
	const most = 64 << 20
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return nil, fmt.Errorf("reading the deliveries at %s: %w", place, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading the deliveries at %s: it answers %s: %s", place, response.Status,
			strings.TrimSpace(string(text[:min(len(text), 200)])))
	}
	var list []deliveries.Delivery
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("reading the deliveries at %s: it is not the interceptor that answers there", place)
	}
	return list, nil
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
