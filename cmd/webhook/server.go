package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/drain"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// program is what one process of the admission server is made of.
type program struct {
	options
	cluster *rest.Config
	log     logr.Logger
	counts  *measures
	own     *ownSettings
}

// start reads what it is told to read, and serves until ctx ends.
func start(ctx context.Context, o options, errOut io.Writer) error {
	log := server.Log(errOut)
	counts, err := newMeasures(metrics.Registry)
	if err != nil {
		return err
	}
	// Before the API server is looked for, since it takes no time.
	if err := (&configuration{path: o.config, metrics: counts}).load(); err != nil {
		return err
	}
	cluster, err := server.Connect(o.kubeconfig)
	if err != nil {
		return err
	}
	return (&program{o, cluster, log, counts, newOwnSettings(log.WithName("namespaces"))}).run(ctx)
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
	hooks := server.NewWebhooks(server.Options{
		Address: s.bind, TLS: func(c *tls.Config) {
			authority.TLS(c)
			c.ClientAuth = tls.RequestClientCert // see callers
		},
		Log: s.log.WithName("serve"), Requests: s.counts.requests,
		Handshakes: s.counts.handshakes,
	})
	m, err := s.newManager(hooks)
	if err != nil {
		return err
	}
	requests, serving := drain.Watch(ctx, s.drain)
	changes := server.NewNotifier() // of everything that conditions depend on
	if err := errors.Join(s.keepTrust(ctx, m, direct, authority, changes),
		s.register(ctx, m, requests, direct, changes)); err != nil {
		return err
	}
	return m.Start(serving)
}

// keepTrust makes the API server trust this server, and this server unready while
// it does not.
func (s *program) keepTrust(ctx context.Context, m manager.Manager, direct client.Client, authority *certs.Authority,
	changes server.Notifier) error {
	bundles := server.NewNotifier()
	t := &trust{authority: authority, changes: []server.Notifier{bundles, changes}}
	if err := t.watch(ctx, m.GetCache()); err != nil {
		return err
	}
	log := s.log.WithName("inject")
	return errors.Join(m.AddReadyzCheck("trusted", t.ready), m.Add(&injector{
		client: direct, authority: authority, changes: bundles, interval: s.recheck, log: log, metrics: s.counts,
		listening: m.GetWebhookServer().StartedChecker(),
		alarm: &server.Alarm{
			Namespace: s.namespace, Effect: "the API server cannot call Tekgate any more",
			Warn: server.Recorded(m.GetEventRecorder(wellknown.Webhook)), Log: log,
		},
	}))
}

func (s *program) loadAuthority(ctx context.Context, direct client.Client) (*certs.Authority, error) {
	return certs.Load(ctx, certs.Options{
		Client:    direct,
		Namespace: s.namespace,
		Name:      wellknown.WebhookCA,
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
		Cache:                  cacheOptions(s.log, s.own, s.tekton),
		Metrics:                metricsserver.Options{BindAddress: s.metrics},
		HealthProbeBindAddress: s.health,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the server: %w", err)
	}
	return m, nil
}

// register connects the rules with the server, and its health with theirs.
func (s *program) register(ctx context.Context, m manager.Manager, requests *drain.Requests, direct client.Client,
	changes server.Notifier) error {
	there := s.lookups(m, changes)
	if err := there.watch(ctx, m.GetCache()); err != nil {
		return err
	}
	c := &configuration{
		path: s.config, namespace: s.namespace, interval: 2 * time.Second, cluster: there, changes: changes,
		references: references{kinds: newServedKinds(m.GetRESTMapper()), live: m.GetAPIReader(), writer: m.GetClient(),
			hasAccount: there.hasAccount},
		controller: mutator.ControllerOf(s.tekton),
		metrics:    s.counts,
		reloads: server.Reloads{
			Server: "the admission server", Namespace: s.namespace, Client: m.GetAPIReader(), Metrics: s.counts.reloads,
			Warn: server.Recorded(m.GetEventRecorder(wellknown.Webhook)), Log: s.log.WithName("configuration"),
		},
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
		webhook := &admit.Webhook{Handler: handler}
		if path == "/validate" {
			webhook.Busy = func(ctx context.Context, req admission.Request) admission.Response {
				s.counts.requests.Busy(path)
				return c.busy(ctx, req)
			}
		}
		hooks.Register(path, requests.Handler(budget.Handler(c.identify(webhook))))
	}
	log := s.log.WithName("conditions")
	return errors.Join(
		m.Add(&conditions{
			client: direct, wanted: c.conditions, replicas: newReplicas(direct, s.namespace, s.recheck, log),
			interval: s.recheck, changes: changes, log: log, backoffs: map[string]*server.Backoff{},
		}),
		m.Add(there.tasks), m.Add(there.actions), m.Add(there.policies), m.Add(there.tekton), m.Add(there.programs),
		m.Add(c), m.Add(again),
		m.AddHealthzCheck("ping", healthz.Ping),
		m.AddReadyzCheck("listening", hooks.StartedChecker()),
		m.AddReadyzCheck("cache", there.ready),
		m.AddReadyzCheck("draining", staying(requests)),
	)
}

// lookups returns what answers the questions of the rules about the cluster.
func (s *program) lookups(m manager.Manager, changes server.Notifier) *lookups {
	return &lookups{
		changes: changes,
		own:     s.own,
		live:    m.GetAPIReader(),
		tasks:   s.stored(m, taskKind),
		actions: s.stored(m, actionKind), policies: s.stored(m, policyKind),
		tekton: &tektonSetup{live: m.GetAPIReader(), cached: m.GetCache(), namespace: s.tekton,
			interval: 15 * time.Second, log: s.log.WithName("tekton")},
		programs: &programs{live: m.GetAPIReader(), namespace: s.namespace, interval: s.recheck,
			log: s.log.WithName("entrypoints")},
	}
}

// stored looks up objects of a kind that runs name.
func (s *program) stored(m manager.Manager, kind schema.GroupKind) *stored {
	return &stored{
		wanted: kind, live: m.GetAPIReader(), cached: m.GetCache(), cache: m.GetCache(), mapper: m.GetRESTMapper(),
		log: s.log.WithName("stored"), retry: 5 * time.Second,
	}
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
