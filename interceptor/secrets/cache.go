// Package secrets reads the Secrets that Triggers name, and remembers each for
// as short a time as it can afford.
//
// Reading per event does not work: all Triggers of an event read at the same
// moment (tektoncd/triggers#406, #570), and while the API server is away every
// event would be lost, since EventListeners never try again. Watching does not
// work either: RBAC cannot limit a watch by name, so the right to watch one
// Secret is the right to watch all of them, and a cache of all of them has taken
// gigabytes (tektoncd/triggers#1268). So there is one verb, get, on the Secrets
// that are used and no others:
//
//   - A value is used for two seconds without asking, by everybody who wants it
//     meanwhile; then one caller asks and the rest wait for the same answer.
//   - Whoever finds that a value does not fit an event may ask for one that was
//     read after the event came in (Renew). So a Secret that has just been rotated
//     refuses nobody, and still is read no more than five times a second,
//     however many forged events come.
//   - While the API server is away the last value serves on, for a bounded time,
//     and is marked as stale. That a Secret is gone is an answer like any other
//     and ends that at once; that reading it is forbidden is not, because an API
//     server that has just started forbids everything until it knows its roles.
//   - An answer without a value is remembered for a second.
//
// What is remembered is bounded in number and in bytes.
package secrets

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
)

// The times that nobody has to choose.
const (
	freshFor    = 2 * time.Second        // rotation is noticed within this, without a mismatch
	negativeFor = time.Second            // for answers without a value
	spacing     = 200 * time.Millisecond // between two reads of the same Secret
	readTimeout = 5 * time.Second
	patience    = 500 * time.Millisecond // of somebody who could have an older value
)

// The bounds. A hook's Secret holds some dozens of bytes.
const (
	maxEntries = 1024
	maxBytes   = 16 << 20
)

// Options configure a Cache.
type Options struct {
	// MaxStale is for how long a value serves that cannot be read again.
	MaxStale time.Duration
	// Report hears how each request was served; nil for nobody.
	Report func(Outcome)
	Log    logr.Logger
	Now    func() time.Time
}

// Outcome says how a request was served.
type Outcome string

// The outcomes.
const (
	Cached Outcome = "cached" // remembered
	Read   Outcome = "read"   // by the API server
	Stale  Outcome = "stale"  // remembered, and could not be read again
	Failed Outcome = "failed" // not at all
)

// Outcomes are all of them.
var Outcomes = []Outcome{Cached, Read, Stale, Failed}

// Cache remembers Secrets. It is safe for use by several goroutines.
type Cache struct {
	read    client.Reader
	options Options

	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
	bytes   int
	away    bool // the API server, by the last read
}

// entry is one Secret. Its fields are guarded by the cache's mutex: they are held
// for an instant, and never while something is read.
type entry struct {
	key    types.NamespacedName
	used   time.Time
	flight chan struct{} // closed when the read under way is over; nil without one
	begun  time.Time     // when flight was

	started time.Time           // when the last read that is over began; zero before the first
	ended   time.Time           // when it was over
	err     error               // what it failed with
	known   *interceptor.Secret // the last value that was read and still holds
	readAt  time.Time           // when the read began that brought it
	size    int                 // of known, in bytes
}

// New returns an empty cache that reads through read, which must not be cached.
func New(read client.Reader, o Options) *Cache {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(Outcome) {}
	}
	return &Cache{read: read, options: o, entries: map[types.NamespacedName]*entry{}}
}

var _ interceptor.SecretRenewer = (*Cache)(nil)

// SetMaxStale changes Options.MaxStale, also for what is known already.
func (c *Cache) SetMaxStale(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.options.MaxStale = d
}

// Get returns a Secret that was read within the last two seconds, or the last
// known value while the API server is away. The error is the API server's own:
// IsNotFound and IsForbidden know it.
func (c *Cache) Get(ctx context.Context, namespace, name string) (*interceptor.Secret, error) {
	asked := c.options.Now()
	return c.get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, asked.Add(-freshFor),
		asked.Add(-negativeFor))
}

// Renew returns a Secret that was read after the given time, or like Get what is
// known while the API server is away.
func (c *Cache) Renew(ctx context.Context, namespace, name string, after time.Time) (*interceptor.Secret, error) {
	return c.get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, after, after)
}

// get waits until a read is over that began after one time, or failed after the
// other.
func (c *Cache) get(ctx context.Context, key types.NamespacedName,
	after, failed time.Time) (*interceptor.Secret, error) {
	outcome := Cached
	for {
		c.mu.Lock()
		e := c.entry(key)
		if e.err == nil && e.started.After(after) || e.err != nil && e.ended.After(failed) {
			defer c.mu.Unlock()
			return c.answer(e, outcome)
		}
		flight := c.start(e)
		var enough <-chan time.Time
		if c.usable(e) {
			enough = time.After(patience - c.options.Now().Sub(e.begun))
		}
		c.mu.Unlock()
		outcome = Read

		select {
		case <-flight:
		case <-enough:
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.answer(e, Stale)
		case <-ctx.Done():
			c.options.Report(Failed)
			return nil, fmt.Errorf("waiting for Secret %s: %w", key, ctx.Err())
		}
	}
}

// usable says whether the known value may still serve.
func (c *Cache) usable(e *entry) bool {
	return e.known != nil && c.options.Now().Sub(e.readAt) <= c.options.MaxStale
}

// answer returns what the last read brought.
func (c *Cache) answer(e *entry, outcome Outcome) (*interceptor.Secret, error) {
	if e.err == nil && e.known != nil && outcome != Stale {
		c.options.Report(outcome)
		return e.known, nil
	}
	if c.usable(e) {
		c.options.Report(Stale)
		return e.known, nil
	}
	c.options.Report(Failed)
	if e.err == nil { // what is known became too old while it was waited for
		return nil, fmt.Errorf("reading Secret %s: the API server has not answered yet", e.key)
	}
	return nil, e.err
}

// start begins a read unless one is under way, and returns what is closed when it
// is over.
func (c *Cache) start(e *entry) <-chan struct{} {
	if e.flight != nil {
		return e.flight
	}
	flight := make(chan struct{})
	e.flight, e.begun = flight, c.options.Now()
	wait := spacing - c.options.Now().Sub(e.started) // below zero for a new entry
	go func() {
		time.Sleep(wait)
		started := c.options.Now()
		secret, err := c.fetch(e.key)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keep(e, started, secret, err)
		e.flight = nil
		close(flight)
	}()
	return flight
}

// fetch reads a Secret. It is bound to no caller: others wait for it too.
func (c *Cache) fetch(key types.NamespacedName) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	if err := c.read.Get(ctx, key, secret); err != nil {
		return nil, err
	}
	return secret, nil
}
