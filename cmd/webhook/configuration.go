package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/reload"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/validator"
)

// configMap holds the configuration in a cluster; its file is mounted from there.
const configMap = "tekgate-config"

// ruleSet are the rules as one configuration wants them.
type ruleSet struct {
	config   *config.Configuration
	mutate   *mutator.Mutator
	validate *validator.Validator
}

// configuration holds the rules in force, which are those of its file.
type configuration struct {
	path       string
	namespace  string
	interval   time.Duration
	cluster    *lookups
	references references
	later      func(validator.Subject, []validator.Finding) // see type later
	controller string
	live       client.Reader
	events     events.EventRecorder
	metrics    *measures
	log        logr.Logger
	changes    bell // told of a new configuration

	current atomic.Pointer[ruleSet]
	file    reload.File
}

// load reads the file for the first time, when being wrong is fatal.
func (c *configuration) load() error {
	c.file = reload.File{Path: c.path, Interval: c.interval, Use: c.use, Changed: c.changed}
	return c.file.Load()
}

// use makes the rules of a text the ones in force, or tells what is wrong.
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
	v := &validator.Validator{Config: parsed.Validator, Cluster: c.references, Observe: c.metrics.finding, Later: c.later}
	v.Tekton = func() string { return c.cluster.Tekton(context.Background()).Version }
	c.current.Store(&ruleSet{parsed, m, v})
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

// NeedLeaderElection tells the manager to run it in every replica.
func (*configuration) NeedLeaderElection() bool { return false }

// Start looks at the file until ctx ends.
func (c *configuration) Start(ctx context.Context) error {
	c.file.Run(ctx)
	return nil
}

// changed tells what became of a file that has changed.
func (c *configuration) changed(ctx context.Context, err error) {
	hash := c.current.Load().mutate.Hash()
	if err == nil {
		c.changes.ring()
		c.log.Info("using a new configuration", "hash", hash)
		return
	}
	c.metrics.refused()
	c.log.Error(err, "keeping the last good configuration", "hash", hash)
	c.event(ctx, err)
}

// event tells of a bad configuration where people look: at its ConfigMap.
func (c *configuration) event(ctx context.Context, cause error) {
	var cm corev1.ConfigMap
	if err := c.live.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: configMap}, &cm); err != nil {
		return // the file comes from elsewhere; the log has said it
	}
	c.events.Eventf(&cm, nil, corev1.EventTypeWarning, "BadConfiguration", "Reload",
		"the admission server keeps the last good configuration: %s", reload.OneLine(cause))
}

// Handle answers reviews of the ConfigMap: a configuration that the servers could
// not read is refused. It judges nothing else.
func (c *configuration) Handle(_ context.Context, req admission.Request) admission.Response {
	if req.Kind.Kind != "ConfigMap" || req.Name != configMap || req.Namespace != c.namespace || len(req.Object.Raw) == 0 {
		return admission.Allowed("")
	}
	var cm corev1.ConfigMap
	if err := json.Unmarshal(req.Object.Raw, &cm); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	text, found := cm.Data["config.yaml"]
	if !found {
		return admission.Denied("ConfigMap tekgate-config has no key config.yaml: Tekgate's servers read their configuration from it")
	}
	parsed, rules, err := parse([]byte(text), true)
	if err == nil {
		if _, err = mutator.New(parsed.Mutator, rules, nil); err != nil {
			err = fmt.Errorf("mutator.%w", err)
		}
	}
	if err != nil {
		return admission.Denied("config.yaml is not valid, so Tekgate's servers would keep the one before: " + err.Error())
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
