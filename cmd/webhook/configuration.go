package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/reload"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/validator"
)

// ruleSet are the rules as one configuration wants them.
type ruleSet struct {
	config   *config.Configuration
	mutate   *mutator.Mutator
	validate *validator.Validator
	callers  *callers
}

// configuration holds the rules in force, which are those of its file.
type configuration struct {
	server.EveryReplica
	path       string
	namespace  string
	interval   time.Duration
	cluster    *lookups
	references references
	later      func(validator.Subject, []validator.Finding) // see type later
	controller string
	metrics    *measures
	reloads    server.Reloads
	changes    server.Notifier // of a new configuration

	current atomic.Pointer[ruleSet]
	file    reload.File
}

// load reads the file for the first time, when an error is fatal.
func (c *configuration) load() error {
	c.file = reload.File{Path: c.path, Interval: c.interval, Use: c.use, Changed: c.changed}
	return c.file.Load()
}

// use makes the rules of a text the ones in force, or returns what is wrong with it.
func (c *configuration) use(text []byte) error {
	parsed, rules, err := parse(text, c.path != "")
	if err != nil {
		return err
	}
	m, err := mutator.New(parsed.Mutator, rules, c.cluster)
	if err != nil {
		return fmt.Errorf("mutator.%w", err)
	}
	m.Controller, m.Observe = c.controller, c.metrics.observe
	v := &validator.Validator{Config: parsed.Validator, Cluster: c.references, Observe: c.metrics.finding,
		Later: c.later}
	v.Failure = c.metrics.failure
	if v.Rules, err = parsed.Validator.AllRules(); err != nil {
		return fmt.Errorf("validator.%w", err)
	}
	v.Account = parsed.Account()
	v.Controller, v.Authorize = c.controller, c.references.authorize
	v.Tekton = func() string { return c.cluster.Tekton(context.Background()).Version }
	v.Verified = isVerified
	m.Refusal, v.Fetched = v.Refusal, m.Fetched
	c.current.Store(&ruleSet{parsed, m, v, newCallers(parsed.Install)})
	c.metrics.loaded(m.Hash(), time.Now())
	return nil
}

// parse reads a text, the default configuration where there is no file.
func parse(text []byte, given bool) (*config.Configuration, *image.Rules, error) {
	parsed, err := config.Default(), error(nil)
	if given {
		parsed, err = config.Parse(text)
	}
	if err != nil || parsed.Mirror.Empty() {
		return parsed, nil, err
	}
	rules, err := parsed.Mirror.Compile()
	return parsed, rules, err
}

// Start reloads the file until ctx ends.
func (c *configuration) Start(ctx context.Context) error {
	c.file.Run(ctx)
	return nil
}

// changed reports what became of a changed file.
func (c *configuration) changed(ctx context.Context, err error) {
	if err == nil {
		c.changes.Notify()
	}
	c.reloads.Report(ctx, err, "hash", c.current.Load().mutate.Hash())
}

// Handle answers reviews of the ConfigMap: a configuration that the servers could
// not read is refused. It judges nothing else.
func (c *configuration) Handle(_ context.Context, req admission.Request) admission.Response {
	if req.Kind.Kind != "ConfigMap" || req.Name != wellknown.ConfigMap || req.Namespace != c.namespace ||
		len(req.Object.Raw) == 0 {
		return admission.Allowed("")
	}
	var cm corev1.ConfigMap
	if err := json.Unmarshal(req.Object.Raw, &cm); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	text, found := cm.Data[wellknown.ConfigMapKey]
	if !found {
		return admission.Denied(
			"ConfigMap tekgate-config has no key config.yaml: Tekgate's servers read their configuration from it")
	}
	parsed, rules, err := parse([]byte(text), true)
	if err == nil {
		if _, err = mutator.New(parsed.Mutator, rules, nil); err != nil {
			err = fmt.Errorf("mutator.%w", err)
		}
	}
	if err != nil {
		return admission.Denied(
			"config.yaml is not valid, so Tekgate's servers would keep the one before: " + err.Error())
	}
	return admission.Allowed("")
}

// conditions returns the match conditions that the rules in force want.
func (c *configuration) conditions(ctx context.Context) (map[string]string, error) {
	own, err := c.cluster.withSettings(ctx)
	if err != nil {
		return nil, err
	}
	return c.current.Load().config.Conditions(own)
}

// mutating and validating answer with the rules in force.
func (c *configuration) mutating(ctx context.Context, req admission.Request) admission.Response {
	return c.current.Load().mutate.Handle(ctx, req)
}

func (c *configuration) validating(ctx context.Context, req admission.Request) admission.Response {
	return c.current.Load().validate.Handle(ctx, req)
}

// busy answers what there is no time or memory to judge. A run that is not mutated is what
// its author wrote, so nothing of the kind is done for mutation.
func (c *configuration) busy(ctx context.Context, req admission.Request) admission.Response {
	return c.current.Load().validate.Busy(ctx, req)
}
