// Command interceptor is the event server: EventListeners ask it whether an event
// may continue.
//
// It writes the ClusterInterceptor that leads to it by itself, whole, in one
// server-side apply, and nobody else writes any part of it, neither the installer
// nor a manifest. The reason is the label server/type: https. An EventListener
// gathers the caBundles of all ClusterInterceptors that bear it, and stops, also
// one that is running and has nothing to do with Tekgate, when one of them has
// none or a bad one. So the label and the caBundle must appear together, and only
// this process has the caBundle. Leaving the label to somebody else is no way
// out: where it is missing, Triggers' defaulting webhook replaces all labels by
// server/type: http, and EventListeners do not trust the certificate.
//
// It is a program of its own because it reads Secrets in every namespace and takes
// in what the internet sends: neither the admission server nor the command line
// needs such rights, or such company.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/callers"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/interceptor/replay"
	"github.com/tekgate/tekgate/interceptor/secrets"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

func main() { os.Exit(server.Main(wellknown.Interceptor, os.Args[1:], run)) }

// options are the flags: where things are. What is checked is in the
// configuration file.
type options struct {
	kubeconfig, config string
	namespace, service string
	bind, health       string
	metrics            string
	deliveries         string
	url, issued        string
	remember           string // the namespace of deliveries
	drain              time.Duration
	recheck, overlap   time.Duration
}

// run is the whole program. It returns when ctx ends and all requests have been
// answered, or with what went wrong, as one sentence. Help goes to out, the log,
// one JSON object per line, to errOut.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	root := command(errOut)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	return root.ExecuteContext(ctx)
}

func command(errOut io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "interceptor",
		Short:         "Verify the signatures of events for Tekton Triggers",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), server.Log(errOut))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "",
		"kubeconfig `FILE` (default: $KUBECONFIG, or the Pod's ServiceAccount)")
	f.StringVar(&o.config, "config", "", "configuration `FILE` (default: built-in defaults)")
	f.StringVar(&o.namespace, "namespace", server.Namespace(), "`NAMESPACE` of the Service and of the CA's Secret")
	f.StringVar(&o.service, "service", wellknown.Interceptor, "`NAME` of the Service that leads here")
	f.StringVar(&o.issued, "certificate-secret", "",
		"`NAME` of the Secret in which cert-manager keeps the server's certificate, and of the Certificate that asks for it (default: the server signs its own)")
	f.StringVar(&o.bind, "bind-address", ":8443", "`ADDRESS` to serve events on")
	f.StringVar(&o.health, "health-bind-address", ":8081", "`ADDRESS` to serve /healthz and /readyz on; 0 for none")
	f.StringVar(&o.metrics, "metrics-bind-address", ":8080", "`ADDRESS` to serve /metrics on; 0 for none")
	f.StringVar(&o.deliveries, "deliveries-bind-address", "127.0.0.1:8082",
		"`ADDRESS` to serve the recent deliveries on, without asking who reads them; 0 for none. On loopback, only those reach it who may forward a port to the Pod")
	f.DurationVar(&o.drain, "drain", 15*time.Second,
		"how long to go on serving after the first signal, at most: the server ends once no request has come for five seconds")
	f.DurationVar(&o.recheck, "recheck", time.Minute,
		"how often the ClusterInterceptor and the CA's Secret are looked at")
	f.DurationVar(&o.overlap, "ca-overlap", 5*time.Minute,
		"how long a new CA is published before it signs; EventListeners read it once a minute")
	f.StringVar(&o.remember, "deliveries-namespace", wellknown.DeliveriesNamespace,
		"`NAMESPACE` of the Leases with which deliveries are remembered")
	f.StringVar(&o.url, "url", "", "`URL` that EventListeners reach this server by when it runs outside the cluster, such as https://127.0.0.1:9444; its path is /verify unless it has one (default: the Service)")
	return cmd
}

func (o options) run(ctx context.Context, log logr.Logger) error {
	configured := newConfiguration(o.config)
	if err := configured.file.Load(); err != nil {
		return err
	}
	target, err := o.target()
	if err != nil {
		return err
	}
	c, err := o.connect()
	if err != nil {
		return err
	}
	authority, err := o.authority(ctx, c, target)
	if err != nil {
		return err
	}
	return o.serve(ctx, c, target, authority, configured, log)
}

// apiServer has the clients for one API server.
type apiServer struct {
	client.Client
	triggers callers.API
}

// connect returns clients that ask the API server directly: a cache would need the right
// to list Secrets, and would hold all of them.
func (o options) connect() (apiServer, error) {
	config, err := server.Connect(o.kubeconfig)
	if err != nil {
		return apiServer{}, err
	}
	config.UserAgent = wellknown.Interceptor
	config.Timeout = 10 * time.Second // which an EventListener waits
	c, err := client.New(config, client.Options{})
	if err != nil {
		return apiServer{}, fmt.Errorf("preparing a client for the API server at %s: %w", config.Host, err)
	}
	triggers, err := callers.Connect(config)
	return apiServer{c, triggers}, err
}

// serve puts the parts together.
func (o options) serve(ctx context.Context, c apiServer, to target, authority *certs.Authority,
	configured *configuration, log logr.Logger) error {
	numbers := newMetrics(authority.Expiry)
	in := configured.now
	recent := deliveries.New(deliveries.Options{
		Replica: hostname(), PerTrigger: in.Deliveries.PerTrigger, Triggers: in.Deliveries.Triggers,
	})
	s := &eventServer{log: log, drainTime: o.drain, handshakes: numbers.handshakes, trusted: authority.Settled}
	err := s.listen(ctx, o.bind,
		endpoint{what: "probes", address: o.health, handler: s.probes()},
		endpoint{what: "metrics", address: o.metrics, handler: numbers.handler()},
		endpoint{what: "deliveries", address: o.deliveries, handler: deliveries.Handler(recent.Source)})
	if err != nil {
		return err
	}
	events := &server.Events{Client: c, Component: wellknown.Interceptor, Controller: "tekgate.dev/interceptor",
		Log: log}
	refusals := newRefusals(events)
	replays := replay.New(replay.Options{
		Client: c, Namespace: o.remember, Log: log,
		Max: in.Replay.Max, MaxNamespace: in.Replay.MaxPerNamespace,
	})
	numbers.watchReplays(replays.Fill)
	known := secretsOf(c, in.Secrets, numbers, log)
	numbers.matched.enable(in.Secrets.Metrics)
	asking := callers.New(c.triggers, callers.Options{MaxStale: in.Secrets.MaxStale.Duration})
	configured.parts = &parts{secrets: known, callers: asking, replays: replays, recent: recent,
		matched: numbers.matched}
	configured.parts.handler.Store(interceptor.New(in, interceptor.Options{
		Secrets: known, Replay: replays, Callers: asking, Log: log, Now: time.Now,
		Observers: []interceptor.Observer{numbers, recent, refusals},
	}))
	configured.reloads = server.Reloads{
		Server: "the interceptor", Namespace: o.namespace, Client: c, Warn: events.Warn, Log: log,
		Metrics: numbers.reloads,
	}
	k := &keeper{publisher: publisher{client: c, log: log}, to: to, authority: authority, every: o.recheck,
		alarm: server.Alarm{Namespace: o.namespace, Effect: expiredEffect, Warn: events.Warn, Log: log}}
	return s.run(ctx, configured.parts, authority.TLS, k.run, refusals.run, replays.Run, configured.file.Run)
}

// expiredEffect is the effect of an expired certificate.
const expiredEffect = "no EventListener can ask Tekgate any more"

func secretsOf(c client.Client, configuration interceptor.SecretsConfig, numbers *metrics,
	log logr.Logger) *secrets.Cache {
	return secrets.New(c, secrets.Options{
		MaxStale: configuration.MaxStale.Duration, Log: log,
		Report: func(outcome secrets.Outcome) { numbers.secrets.WithLabelValues(string(outcome)).Inc() },
	})
}

// hostname returns the name of the Pod, if this is one.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// startTimeout bounds the wait for an API server that stops answering.
const startTimeout = 30 * time.Second

func (o options) authority(ctx context.Context, c client.Client, to target) (*certs.Authority, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	names, ips := to.names()
	return certs.Load(ctx, certs.Options{
		Client: c, Namespace: o.namespace, Name: wellknown.InterceptorCA, DNSNames: names, IPs: ips,
		Overlap: o.overlap, Issued: o.issued,
	})
}
