package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/interceptor/replay"
	"github.com/tekgate/tekgate/interceptor/secrets"
	"github.com/tekgate/tekgate/internal/reload"
)

// configMap holds the configuration in a cluster; its file is mounted from there.
const configMap = "tekgate-config"

const configurationInterval = 2 * time.Second

// configuration is the section interceptor of the file, in force in the parts of
// the server. A file that is wrong anywhere, also in the sections of others, is not
// used: it is one file, and one who made a mistake in it is told by all servers.
type configuration struct {
	file   reload.File
	now    interceptor.Config
	parts  *parts  // once they are there
	teller *teller // from then on
}

func newConfiguration(path string) *configuration {
	c := &configuration{}
	c.file = reload.File{Path: path, Interval: configurationInterval, Use: c.use, Changed: func(ctx context.Context, err error) {
		c.teller.changed(ctx, err)
	}}
	return c
}

func (c *configuration) use(text []byte) error {
	parsed, err := config.Default(), error(nil)
	if c.file.Path != "" {
		parsed, err = config.Parse(text)
	}
	if err != nil {
		return err
	}
	c.now = parsed.Interceptor
	if c.parts != nil {
		c.parts.configure(c.now)
	}
	return nil
}

// parts are what a configuration changes while the server runs, and the handler of
// its events.
type parts struct {
	handler atomic.Pointer[interceptor.Handler]
	secrets *secrets.Cache
	replays *replay.Store
	recent  *deliveries.Log
}

func (p *parts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.handler.Load().ServeHTTP(w, r)
}

func (p *parts) configure(c interceptor.Config) {
	p.secrets.SetMaxStale(c.Secrets.MaxStale.Duration)
	p.replays.SetBounds(c.Replay.Max, c.Replay.MaxPerNamespace)
	p.recent.SetBounds(c.Deliveries.PerTrigger, c.Deliveries.Triggers)
	p.handler.Store(p.handler.Load().With(c))
}

// teller tells what became of a file that has changed, in the log, a metric and,
// where it is bad, an Event.
type teller struct {
	client    client.Client
	namespace string
	reloads   *reloads
	log       logr.Logger
}

func (t *teller) changed(ctx context.Context, err error) {
	if err == nil {
		t.reloads.loaded(time.Now())
		t.log.Info("using a new configuration")
		return
	}
	t.reloads.refused()
	t.log.Error(err, "keeping the last good configuration")
	if err := t.event(ctx, err); err != nil && ctx.Err() == nil {
		t.log.Error(err, "a bad configuration is not told as an Event")
	}
}

// event tells of a bad configuration where people look: at its ConfigMap.
func (t *teller) event(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	cm := &corev1.ConfigMap{}
	err := t.client.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: configMap}, cm)
	if apierrors.IsNotFound(err) {
		return nil // the file comes from elsewhere; the log has said it
	}
	if err != nil {
		return fmt.Errorf("reading ConfigMap %s/%s: %w", t.namespace, configMap, err)
	}
	now := metav1.Now()
	err = t.client.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, GenerateName: configMap + "."},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "ConfigMap", Namespace: cm.Namespace, Name: cm.Name, UID: cm.UID, ResourceVersion: cm.ResourceVersion,
		},
		Type:                corev1.EventTypeWarning,
		Reason:              "BadConfiguration",
		Message:             "the interceptor keeps the last good configuration: " + reload.OneLine(cause),
		Source:              corev1.EventSource{Component: "tekgate-interceptor"},
		ReportingController: "tekgate.dev/interceptor",
		FirstTimestamp:      now, LastTimestamp: now, Count: 1,
	})
	if err != nil {
		return fmt.Errorf("writing an Event on ConfigMap %s/%s: %w", t.namespace, configMap, err)
	}
	return nil
}
