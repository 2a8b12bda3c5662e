// Package resolve fetches the Tasks, Pipelines and StepActions that references of Tekton name: from
// bundles, git, HTTP and hubs.
//
// It is for programs on a user's machine, and does what Tekton's resolvers do in a cluster. A lock
// records what each reference led to, and a cache keeps the content by its SHA-256, so that later runs
// get the same without a network. Nothing that is fetched is executed.
package resolve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// Request is a reference: what a resolver is asked for.
type Request struct {
	Resolver string            // bundles, git, http or hub
	Kind     string            // Task, Pipeline or StepAction: what the reference is to
	Params   map[string]string // of the resolver, with their final values
}

// Definition is what a reference leads to.
type Definition struct {
	Fields map[string]any // the object as decoded JSON, shared between requests: it must not be changed
	Source string         // where it comes from, in a few words and without credentials
	Note   string         // what its reader should know, a sentence or ""
}

// Limits of one reference and of all together.
const (
	MaxSize  = 4 << 20          // bytes of a definition
	Patience = 20 * time.Second // for a reference
	jobs     = 4                // references at a time
)

// Options say where definitions come from. The zero value asks the addresses that references name.
type Options struct {
	// Mirror rewrites the references of bundles as admission rewrites images. Nil rewrites none.
	Mirror *image.Rules
	// URLs replaces the beginnings of the URLs of git, HTTP and hubs; the longest that fits applies.
	URLs map[string]string
	// Registry says how registries are spoken to. Its CAFile and PlainHTTP count for HTTP and hubs, too.
	Registry registry.Options
	// ArtifactHub and TektonHub are the addresses of the hubs. "" is for artifacthub.io, and for no Tekton Hub.
	ArtifactHub, TektonHub string
	// Lock is the name of the lock file, Cache that of the folder of the cache.
	Lock, Cache string
	// Update accepts what differs from the lock; Offline asks no server.
	Update, Offline bool
	// Patience is how long one reference may take; zero means 20 seconds.
	Patience time.Duration
}

// Resolver fetches definitions, each once. It is safe for concurrent use.
type Resolver struct {
	options Options
	bundles *registry.Bundles
	http    *fetcher
	git     *git
	lock    *lock
	cache   cache
	slots   chan struct{}

	mutex sync.Mutex
	known map[string]func() (Definition, error)
}

// New returns a Resolver. The error says what is wrong with the options or the lock.
func New(options Options) (*Resolver, error) {
	if options.Patience == 0 {
		options.Patience = Patience
	}
	if options.ArtifactHub == "" {
		options.ArtifactHub = "https://artifacthub.io"
	}
	bundles, err := registry.NewBundles(options.Registry)
	if err != nil {
		return nil, err
	}
	fetcher, err := newFetcher(options)
	if err != nil {
		return nil, err
	}
	held, err := readLock(options.Lock)
	if err != nil {
		return nil, err
	}
	return &Resolver{options: options, bundles: bundles, http: fetcher, git: &git{options: options}, lock: held,
		cache: cache(options.Cache), slots: make(chan struct{}, jobs),
		known: map[string]func() (Definition, error){}}, nil
}

// Supports reports whether a resolver is one of those that this package does the work of.
func Supports(resolver string) bool {
	return slices.Contains([]string{"bundles", "git", "http", "hub"}, resolver)
}

// Key identifies a request.
func (q Request) Key() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%q %q", q.Resolver, q.Kind)
	for _, name := range slices.Sorted(maps.Keys(q.Params)) {
		fmt.Fprintf(&text, " %q=%q", name, q.Params[name])
	}
	return text.String()
}

// Resolve returns what a reference leads to. The error is a sentence: what failed, why, and what to do; it
// holds no credentials.
func (r *Resolver) Resolve(ctx context.Context, q Request) (Definition, error) {
	key := q.Key()
	r.mutex.Lock()
	ask, known := r.known[key]
	if !known {
		ask = sync.OnceValues(func() (Definition, error) { return r.limited(ctx, q) })
		r.known[key] = ask
	}
	r.mutex.Unlock()
	return ask()
}

func (r *Resolver) limited(ctx context.Context, q Request) (Definition, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return Definition{}, errors.New("not everything was resolved in the time for all references: run it again, " +
			"the cache has what was fetched")
	}
	limited, cancel := context.WithTimeout(ctx, r.options.Patience)
	defer cancel()
	found, err := r.resolve(limited, q)
	if err != nil && limited.Err() != nil {
		err = fmt.Errorf("%s did not answer within %s: try again, or name a mirror that is nearer with --resolve-url "+
			"or in the configuration", q.place(), r.options.Patience)
	}
	if err != nil {
		return Definition{}, errors.New(q.scrub(err.Error()))
	}
	return found, nil
}

// fetched is what a server sent.
type fetched struct {
	text     []byte
	revision string // the commit, or the digest of the bundle; "" for HTTP and hubs
	from     string // where it came from, without credentials
}

// unreachable is an error of a server that did not answer, so that the lock and the cache count.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

func (r *Resolver) resolve(ctx context.Context, q Request) (Definition, error) {
	held, locked := r.lock.of(q)
	if locked && !r.options.Update && (r.options.Offline || q.immutable()) {
		if text, err := r.cache.read(held.SHA256); err == nil {
			return q.define(text, held.source(), "")
		}
	}
	if r.options.Offline {
		what := "is not in the lock"
		if locked {
			what = "is in the lock and not in the cache"
		}
		return Definition{}, fmt.Errorf("%s %s, and --offline asks no server: run it once without --offline", q.place(), what)
	}
	got, err := r.fetch(ctx, q)
	var away unreachable
	if (errors.As(err, &away) || err != nil && ctx.Err() != nil) && locked && !r.options.Update {
		if text, missing := r.cache.read(held.SHA256); missing == nil {
			return q.define(text, held.source(), q.scrub(fmt.Sprintf("the locked definition was used, since %v", err)))
		}
	}
	if err != nil {
		return Definition{}, err
	}
	return r.accept(q, got, held, locked)
}

// accept compares what came with the lock, and keeps it.
func (r *Resolver) accept(q Request, got fetched, held Locked, locked bool) (Definition, error) {
	entry := q.entry(got)
	if locked && !r.options.Update {
		if held.differs(entry) {
			return Definition{}, fmt.Errorf("%s has changed: the lock has %s and the server %s: look at what changed, then "+
				"run with --update", q.place(), held.identity(), entry.identity())
		}
		entry = held
	}
	found, err := q.define(got.text, entry.source(), "")
	if err != nil {
		return Definition{}, err
	}
	if err := r.cache.write(got.text); err != nil {
		found.Note = fmt.Sprintf("the cache cannot be written, so --offline will not find it: %v", err)
	}
	r.lock.set(q, entry)
	return found, nil
}

func (r *Resolver) fetch(ctx context.Context, q Request) (fetched, error) {
	switch q.Resolver {
	case "bundles":
		return r.fetchBundle(ctx, q)
	case "git":
		return r.git.fetch(ctx, q)
	case "http":
		if q.Params["url"] == "" {
			return fetched{}, errors.New("the reference has no param url: add it")
		}
		return r.http.fetch(ctx, q.Params["url"])
	case "hub":
		return r.fetchFromHub(ctx, q)
	}
	return fetched{}, fmt.Errorf("the resolver %q is not known: tekgate resolves bundles, git, http and hub", q.Resolver)
}

func (r *Resolver) fetchBundle(ctx context.Context, q Request) (fetched, error) {
	written, name := q.Params["bundle"], q.Params["name"]
	if written == "" || name == "" {
		return fetched{}, errors.New("the reference does not say which object of which bundle: give the params bundle and name")
	}
	ref, err := image.Parse(written)
	if err != nil {
		return fetched{}, fmt.Errorf("the bundle is no image reference: %w: correct the param bundle", err)
	}
	if r.options.Mirror != nil {
		done, err := r.options.Mirror.Rewrite(ref)
		var none *image.UnmirroredError
		switch {
		case err == nil:
			ref = done.To
		case !errors.As(err, &none):
			return fetched{}, err
		}
	}
	kind := q.Params["kind"]
	if kind == "" {
		kind = q.Kind
	}
	text, digest, err := r.bundles.Read(ctx, ref, kind, name, MaxSize)
	var failure *registry.BundleError
	if errors.As(err, &failure) && failure.Unreachable {
		err = unreachable{err}
	}
	return fetched{text, digest, ref.String()}, err
}

// immutable reports whether a reference names its content: no server needs to be asked about what is cached.
func (q Request) immutable() bool {
	switch q.Resolver {
	case "bundles":
		return strings.Contains(q.Params["bundle"], "@sha256:")
	case "git":
		return commit.MatchString(q.Params["revision"])
	}
	return false
}

// place names what a reference leads to, without credentials.
func (q Request) place() string {
	switch q.Resolver {
	case "bundles":
		return fmt.Sprintf("%q of bundle %s", q.Params["name"], q.Params["bundle"])
	case "git":
		return fmt.Sprintf("%s of %s at %s", q.Params["pathInRepo"], redacted(q.Params["url"]), q.revision())
	case "http":
		return redacted(q.Params["url"])
	}
	return fmt.Sprintf("%s %q of the hub", strings.ToLower(q.kindInHub()), q.Params["name"])
}

func sum(text []byte) string {
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}
