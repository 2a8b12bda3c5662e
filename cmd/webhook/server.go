package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/drain"
	"github.com/tekgate/tekgate/internal/serve"
	"github.com/tekgate/tekgate/mutator"
)

// caSecret holds the CA that all replicas share, and those of cert-manager that are
// trusted beside it.
const caSecret = "tekgate-webhook-ca"

// program is what one process of the admission server is made of.
type program struct {
	options
	cluster *rest.Config
	log     logr.Logger
	counts  *measures
}

// start reads what it is told to read, and serves until ctx ends.
func start(ctx context.Context, o options, errOut io.Writer) error {
	logger := logr.FromSlogHandler(slog.NewJSONHandler(errOut, nil))
	log.SetLogger(logger)
	klog.SetLogger(logger)

	counts, err := newMeasures(metrics.Registry)
	if err != nil {
		return err
	}
	// Before the API server is looked for, since it takes no time.
	if err := (&configuration{path: o.config, metrics: counts}).load(); err != nil {
		return err
	}
	cluster, err := connect(o.kubeconfig)
	if err != nil {
		return err
	}
	return (&program{o, cluster, logger, counts}).run(ctx)
}

func (s *program) run(ctx context.Context) error {
	if err := checkAddress(s.bind); err != nil {
		return err
	}
	direct, err := client.New(s.cluster, client.Options{})
	if err != nil {
		return fmt.Errorf("making a client for %s: %w", s.cluster.Host, err)
	}
	authority, err := s.loadAuthority(ctx, direct)
	if err != nil {
		return err
	}
	hooks := serve.New(serve.Options{
		Address: s.bind, TLS: authority.TLS, Log: s.log.WithName("serve"), Requests: s.counts.requests, Handshakes: s.counts.handshakes,
	})
	m, err := s.newManager(hooks)
	if err != nil {
		return err
	}
	requests, serving := drain.Watch(ctx, s.drain)
	changes := newBell() // of whatever conditions depend on
	if err := errors.Join(s.keepTrust(ctx, m, direct, authority, changes), s.register(ctx, m, requests, direct, changes)); err != nil {
		return err
	}
	return m.Start(serving)
}

// keepTrust makes the API server trust this server, and this server unready while
// it does not.
func (s *program) keepTrust(ctx context.Context, m manager.Manager, direct client.Client, authority *certs.Authority, changes bell) error {
	bundles := newBell()
	t := &trust{authority: authority, changes: []bell{bundles, changes}}
	if err := t.watch(ctx, m.GetCache()); err != nil {
		return err
	}
	log := s.log.WithName("inject")
	return errors.Join(m.AddReadyzCheck("trusted", t.ready), m.Add(&injector{
		client: direct, authority: authority, changes: bundles, interval: s.recheck, log: log, metrics: s.counts,
		listening: m.GetWebhookServer().StartedChecker(),
		alarm:     &alarm{namespace: s.namespace, events: m.GetEventRecorder("tekgate-webhook"), log: log},
	}))
}

// connect returns the configuration of an API server that answers.
//
// Requests are not throttled on our side: one that waits for its turn would
// outlast the patience of the API server for its webhook, and the API server
// has fairness of its own.
func connect(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	cluster, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("finding the API server: this is no Pod and there is no kubeconfig: name one with --kubeconfig")
	}
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	cluster.QPS = -1
	hasty := rest.CopyConfig(cluster)
	hasty.Timeout = 10 * time.Second
	d, err := discovery.NewDiscoveryClientForConfig(hasty)
	if err == nil {
		_, err = d.ServerVersion()
	}
	if err != nil {
		var request *url.Error
		if errors.As(err, &request) {
			err = request.Err // the rest repeats the address
		}
		return nil, fmt.Errorf("reaching the API server at %s: %w", cluster.Host, err)
	}
	return cluster, nil
}

func (s *program) loadAuthority(ctx context.Context, direct client.Client) (*certs.Authority, error) {
	return certs.Load(ctx, certs.Options{
		Client:    direct,
		Namespace: s.namespace,
		Name:      caSecret,
		Issued:    s.issued,
		DNSNames:  append(certs.ServiceNames(s.service, s.namespace), "localhost"),
		IPs:       []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		Overlap:   s.overlap,
	})
}

// checkAddress refuses an address that nobody could call.
func checkAddress(address string) error {
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("reading --bind-address: %w", err)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("reading --bind-address: %q is not a port", digits)
	}
	return nil
}

func (s *program) newManager(hooks webhook.Server) (manager.Manager, error) {
	m, err := manager.New(s.cluster, manager.Options{
		Logger:                 s.log,
		WebhookServer:          hooks,
		Cache:                  cacheOptions(s.log),
		Metrics:                server.Options{BindAddress: s.metrics},
		HealthProbeBindAddress: s.health,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the server: %w", err)
	}
	return m, nil
}

// register connects the rules with the server, and its health with theirs.
func (s *program) register(ctx context.Context, m manager.Manager, requests *drain.Requests, direct client.Client, changes bell) error {
	there := &lookups{
		changes: changes,
		live:    m.GetAPIReader(),
		tasks: &tasks{
			live: m.GetAPIReader(), cached: m.GetCache(), cache: m.GetCache(), mapper: m.GetRESTMapper(),
			log: s.log.WithName("tasks"), retry: 5 * time.Second,
		},
		tekton: &tektonSetup{live: m.GetAPIReader(), namespace: s.tekton, interval: 15 * time.Second, log: s.log.WithName("tekton")},
	}
	if err := there.watch(ctx, m.GetCache()); err != nil {
		return err
	}
	c := &configuration{
		path: s.config, namespace: s.namespace, interval: 2 * time.Second, cluster: there, changes: changes,
		references: references{kinds: newServedKinds(m.GetRESTMapper()), live: m.GetAPIReader(), writer: m.GetClient()},
		controller: mutator.ControllerOf(s.tekton),
		live:       m.GetAPIReader(), events: m.GetEventRecorder("tekgate-webhook"), metrics: s.counts, log: s.log.WithName("configuration"),
	}
	again := s.lookLater(m, c)
	if err := c.load(); err != nil {
		return err
	}
	hooks := m.GetWebhookServer() // asking for it makes the manager start it
	budget := admit.NewBudget(admit.BudgetBytes)
	for path, handler := range map[string]admission.Handler{
		"/mutate":                 admission.HandlerFunc(c.mutating),
		"/validate":               admission.HandlerFunc(c.validating),
		"/validate-configuration": c,
	} {
		hooks.Register(path, requests.Handler(budget.Handler(&admit.Webhook{Handler: handler})))
	}
	log := s.log.WithName("conditions")
	return errors.Join(
		m.Add(&conditions{
			client: direct, wanted: c.conditions, replicas: newReplicas(direct, s.namespace, s.recheck, log),
			interval: s.recheck, changes: changes, log: log, paces: map[string]*pace{},
		}),
		m.Add(there.tasks), m.Add(there.tekton), m.Add(c), m.Add(again),
		m.AddHealthzCheck("ping", healthz.Ping),
		m.AddReadyzCheck("listening", hooks.StartedChecker()),
		m.AddReadyzCheck("cache", there.ready),
		m.AddReadyzCheck("draining", staying(requests)),
	)
}

// staying fails once the server was told to end.
func staying(requests *drain.Requests) healthz.Checker {
	return func(*http.Request) error {
		if requests.Begun() {
			return errors.New("shutting down")
		}
		return nil
	}
}
