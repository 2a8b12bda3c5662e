// Package callers knows which triggers of the cluster ask Tekgate, and with which params.
//
// The protocol of interceptors has no authentication, so a request can name any trigger and
// any Secret. A request counts if the cluster has a Trigger, or an EventListener with a
// trigger or triggerGroup of its own, of that name in that namespace, with an interceptor
// that has exactly these params.
//
// There is no watch: it would need the right to watch the triggers of all namespaces, and
// would hold all of them in memory. Instead a Cache reads what it is asked about and keeps
// digests of params, by trigger:
//
//   - Params that were in the cluster within the last minute pass without a wait, and are
//     read again in the background. EventListeners see edits with a delay, too, so a trigger
//     that was just edited loses no event.
//   - Other params pass only if a read that began after the request finds them. So nothing is
//     refused by what is remembered. However many requests name a trigger, it is read twice
//     a second at most.
//   - While the API server is away, params pass that were in the cluster within the time that
//     Secrets serve on, too. Others are an error: nothing is verified for an unknown caller.
package callers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tekgate/tekgate/interceptor"
)

const (
	settled      = time.Minute            // for which params pass that were found
	refreshAfter = 20 * time.Second       // of that time, they are read again
	spacing      = 500 * time.Millisecond // between two reads of the same trigger
	readTimeout  = 3 * time.Second
	patience     = 3 * spacing // of a caller whose params were found before
)

const (
	maxEntries = 1024
	maxFound   = 4096 // params of one trigger id: EventListeners may have many triggers without a name
	maxReads   = 4    // at once: each may hold some megabytes
)

// Options configure a Cache.
type Options struct {
	// MaxStale is for how long params pass that cannot be read again.
	MaxStale time.Duration
	Now      func() time.Time
}

// Cache remembers triggers. It is safe for use by several goroutines.
type Cache struct {
	reader  reader
	options Options
	reads   chan struct{} // holds a value per read under way

	mu      sync.Mutex
	entries map[caller]*entry
}

// caller is a trigger id. Several objects can have it: a Trigger and triggers of
// EventListeners, whose names need not be unique.
type caller struct {
	namespace, name string
	group           bool
}

// entry is what is known of a caller. Its fields are guarded by the cache's mutex.
type entry struct {
	used   time.Time
	flight chan struct{} // closed when the read under way is over; nil without one
	begun  time.Time     // when the last read began, also one under way

	started time.Time // when the last read that is over began; zero before the first
	outcome outcome   // of that read
	// found has the time at which the read began that last found params.
	found map[interceptor.ParamsDigest]time.Time
}

// outcome is what a read found.
type outcome struct {
	params []interceptor.ParamsDigest
	named  bool // an object has that name
	whole  bool // all objects were read, not just the first with the wanted params
	err    error
}

// New returns an empty cache that reads through api.
func New(api API, o Options) *Cache {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Cache{reader: reader{api}, options: o, reads: make(chan struct{}, maxReads), entries: map[caller]*entry{}}
}

var _ interceptor.CallerChecker = (*Cache)(nil)

// SetMaxStale changes Options.MaxStale, also for what is known already.
func (c *Cache) SetMaxStale(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.options.MaxStale = d
}

// Check implements interceptor.CallerChecker.
func (c *Cache) Check(ctx context.Context, triggerID string, params interceptor.ParamsDigest) error {
	id, err := callerOf(triggerID)
	if err != nil {
		return err
	}
	asked := c.options.Now()
	for {
		c.mu.Lock()
		e := c.entry(id)
		if decided, err := c.decide(id, e, params, asked); decided {
			c.mu.Unlock()
			return err
		}
		flight := c.start(id, e, params)
		var enough <-chan time.Time
		if c.usable(e, params) {
			enough = time.After(patience - c.options.Now().Sub(asked))
		}
		c.mu.Unlock()
		select {
		case <-flight:
		case <-enough:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting for the trigger %q of namespace %s: %w", id.name, id.namespace, ctx.Err())
		}
	}
}

func callerOf(triggerID string) (caller, error) {
	parts := strings.Split(triggerID, "/")
	if len(parts) != 4 {
		return caller{}, fmt.Errorf("%w: the trigger id has %d parts", interceptor.ErrUnknownCaller, len(parts))
	}
	return caller{namespace: parts[1], name: parts[3], group: parts[2] == "triggerGroups"}, nil
}

// decide answers by what is known, if that suffices.
func (c *Cache) decide(
	id caller, e *entry, params interceptor.ParamsDigest, asked time.Time,
) (decided bool, err error) {
	now := c.options.Now()
	if found, ok := e.found[params]; ok && now.Sub(found) <= settled {
		if now.Sub(e.started) > refreshAfter {
			c.start(id, e, params)
		}
		return true, nil
	}
	switch {
	case e.started.Before(asked):
		return false, nil
	case e.outcome.err != nil && c.usable(e, params):
		return true, nil
	case e.outcome.err != nil:
		return true, e.outcome.err
	case !e.outcome.whole:
		return false, nil
	case e.outcome.named:
		return true, fmt.Errorf("%w: trigger %q of namespace %s has no interceptor with these params",
			interceptor.ErrUnknownCaller, id.name, id.namespace)
	}
	return true, fmt.Errorf("%w: namespace %s has neither a Trigger nor an EventListener with a trigger %q",
		interceptor.ErrUnknownCaller, id.namespace, id.name)
}

// usable reports whether params may pass that cannot be read again.
func (c *Cache) usable(e *entry, params interceptor.ParamsDigest) bool {
	found, ok := e.found[params]
	return ok && c.options.Now().Sub(found) <= c.options.MaxStale
}

// start begins a read unless one is under way, and returns what is closed when it is over.
// It ends early if it finds the wanted params.
func (c *Cache) start(id caller, e *entry, wanted interceptor.ParamsDigest) <-chan struct{} {
	if e.flight != nil {
		return e.flight
	}
	flight := make(chan struct{})
	wait := spacing - c.options.Now().Sub(e.begun) // below zero for a new entry
	e.flight = flight
	go func() {
		time.Sleep(wait)
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout) // others wait for it, too
		defer cancel()
		var started time.Time
		got := outcome{err: fmt.Errorf("waiting for other reads of triggers: %w", context.DeadlineExceeded)}
		select {
		case c.reads <- struct{}{}:
			started = c.options.Now()
			got = c.reader.read(ctx, id, wanted)
			<-c.reads
		case <-ctx.Done():
			started = c.options.Now()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keep(e, started, got)
		e.flight = nil
		close(flight)
	}()
	return flight
}

// keep remembers the outcome of a read, and forgets what may not pass any more.
func (c *Cache) keep(e *entry, started time.Time, got outcome) {
	e.begun, e.started = started, started
	if got.err == nil && e.found == nil {
		e.found = map[interceptor.ParamsDigest]time.Time{}
	}
	for _, params := range got.params {
		e.found[params] = started
	}
	got.params = nil
	e.outcome = got
	longest := max(settled, c.options.MaxStale)
	for params, found := range e.found {
		if started.Sub(found) > longest || len(e.found) > maxFound && found.Before(started) {
			delete(e.found, params)
		}
	}
}

// entry returns the entry of a caller, and makes room for a new one.
func (c *Cache) entry(id caller) *entry {
	e := c.entries[id]
	if e == nil {
		if len(c.entries) >= maxEntries {
			c.evict()
		}
		e = &entry{}
		c.entries[id] = e
	}
	e.used = c.options.Now()
	return e
}

// evict forgets the entry that was not used for the longest time, those without params
// first: their names may have been made up.
func (c *Cache) evict() {
	var worst *entry
	var id caller
	for other, e := range c.entries {
		if e.flight == nil && (worst == nil || worse(e, worst)) {
			id, worst = other, e
		}
	}
	if worst != nil {
		delete(c.entries, id)
	}
}

func worse(a, b *entry) bool {
	if (len(a.found) == 0) != (len(b.found) == 0) {
		return len(a.found) == 0
	}
	return a.used.Before(b.used)
}
