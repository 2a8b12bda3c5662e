package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/validator"
)

// configMap holds the configuration in a cluster; its file is mounted from there.
const configMap = "tekgate-config"

// ruleSet are the rules as one configuration wants them.
type ruleSet struct {
	mutate   *mutator.Mutator
	validate *validator.Validator
}

// configuration holds the rules in force. It reads the file again and again: the
// kubelet replaces a mounted ConfigMap within a minute or so, by a symbolic link
// that no watch of the file itself would notice, and a file that is edited by hand
// is noticed the same way. A file that is wrong changes nothing but what is told.
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

	current atomic.Pointer[ruleSet]
	seen    [sha256.Size]byte
}

// load reads the file for the first time, when being wrong is fatal.
func (c *configuration) load() error {
	text, err := c.file()
	if err != nil {
		return err
	}
	c.seen = sha256.Sum256(text)
	return c.use(text)
}

func (c *configuration) file() ([]byte, error) {
	if c.path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return text, nil
}

// use makes the rules of a text the ones in force, or tells what is wrong.
func (c *configuration) use(text []byte) error {
	parsed, rules, err := parse(text, c.path != "")
	if err == nil {
		var m *mutator.Mutator
		if m, err = mutator.New(parsed.Mutator, rules, c.cluster); err == nil {
			m.Controller, m.Observe = c.controller, c.metrics.observe
			c.current.Store(&ruleSet{m, &validator.Validator{Config: parsed.Validator, Cluster: c.references, Observe: c.metrics.finding, Later: c.later}})
			c.metrics.loaded(m.Hash(), time.Now())
			return nil
		}
		err = fmt.Errorf("mutator.%w", err)
	}
	c.metrics.refused()
	return fmt.Errorf("configuration %s: %w", c.path, err)
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
	for sleep(ctx, c.interval) {
		c.look(ctx)
	}
	return nil
}

func (c *configuration) look(ctx context.Context) {
	text, err := c.file()
	state := sha256.Sum256(text)
	if err != nil {
		state = sha256.Sum256([]byte("error: " + err.Error()))
	}
	if state == c.seen {
		return
	}
	c.seen = state
	if err == nil {
		err = c.use(text)
	} else {
		c.metrics.refused()
	}
	if err != nil {
		c.log.Error(err, "keeping the last good configuration", "hash", c.current.Load().mutate.Hash())
		c.event(ctx, err)
		return
	}
	c.log.Info("using a new configuration", "hash", c.current.Load().mutate.Hash())
}

// event tells of a bad configuration where people look: at its ConfigMap.
func (c *configuration) event(ctx context.Context, cause error) {
	var cm corev1.ConfigMap
	if err := c.live.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: configMap}, &cm); err != nil {
		return // the file comes from elsewhere; the log has said it
	}
	c.events.Eventf(&cm, nil, corev1.EventTypeWarning, "BadConfiguration", "Reload",
		"the admission server keeps the last good configuration: %s", oneLine(cause))
}

func oneLine(err error) string {
	const longest = 900 // an Event's note may have 1,024 bytes
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return text
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

// mutating and validating answer with the rules in force.
func (c *configuration) mutating(ctx context.Context, req admission.Request) admission.Response {
	return c.current.Load().mutate.Handle(ctx, req)
}

func (c *configuration) validating(ctx context.Context, req admission.Request) admission.Response {
	return c.current.Load().validate.Handle(ctx, req)
}
