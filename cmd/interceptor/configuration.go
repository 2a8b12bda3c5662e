package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/callers"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/interceptor/replay"
	"github.com/tekgate/tekgate/interceptor/secrets"
	"github.com/tekgate/tekgate/internal/reload"
	"github.com/tekgate/tekgate/internal/server"
)

const configurationInterval = 2 * time.Second

// configuration is the section interceptor of the file, which the parts of the server use.
// A file with an error in any section is not used, so that all servers report the same
// error in the one file.
type configuration struct {
	file    reload.File
	now     interceptor.Config
	parts   *parts // nil until they exist
	reloads server.Reloads
}

func newConfiguration(path string) *configuration {
	c := &configuration{}
	c.file = reload.File{Path: path, Interval: configurationInterval, Use: c.use,
		Changed: func(ctx context.Context, err error) {
			c.reloads.Report(ctx, err)
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

// parts are the parts of the server that a new configuration changes, and the handler of
// events.
type parts struct {
	handler atomic.Pointer[interceptor.Handler]
	secrets *secrets.Cache
	callers *callers.Cache
	replays *replay.Store
	recent  *deliveries.Log
	matched *matched
}

func (p *parts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.handler.Load().ServeHTTP(w, r)
}

func (p *parts) configure(c interceptor.Config) {
	p.secrets.SetMaxStale(c.Secrets.MaxStale.Duration)
	p.callers.SetMaxStale(c.Secrets.MaxStale.Duration)
	p.replays.SetBounds(c.Replay.Max, c.Replay.MaxPerNamespace)
	p.matched.enable(c.Secrets.Metrics)
	p.recent.SetBounds(c.Deliveries.PerTrigger, c.Deliveries.Triggers)
	p.handler.Store(p.handler.Load().With(c))
}
