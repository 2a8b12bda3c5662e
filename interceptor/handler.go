// Package interceptor answers whether an event may continue.
//
// It speaks the protocol of Tekton Triggers' ClusterInterceptors: an
// EventListener posts the event with the Trigger's params, and goes on only if
// the answer is 200 with continue true. So everything here is built to say no:
//
//   - A refusal is 200 with continue false, a code and a sentence. Any other
//     status puts the sentence into the EventListener's error log, and a redirect
//     would be followed as a GET whose answer is trusted; so nothing but a POST to
//     exactly /verify is served, and nothing redirects.
//   - A verdict starts as a refusal and one function makes it a pass. A panic is a
//     refusal.
//   - The checks come in an order: size, JSON, trigger id, params, the headers'
//     shape, the event, and only then the Secret, the MAC, the age, whether it came
//     before, the ping, and what the Trigger filters by. What comes before the
//     Secret tells the caller only what it sent. The protocol has no authentication:
//     whoever reaches the server can name any Trigger. So no Secret is read for a
//     Trigger that is not in the cluster with the params of the request, and the
//     answer is the same, after the same time, whether there is no such Trigger, or
//     the Secret is missing, forbidden, unlabelled, empty or short, or the MAC is
//     wrong. The log has the reason. Wrong MACs of a Secret are answered ever later.
//   - A ping is recognised by its header and answered after the MAC, for whoever
//     presses the forge's test button wants to know whether the secret is right.
//   - The MAC is over the body's own bytes and compared in constant time, in one
//     place for all providers. The provider and, where it matters, the mode come
//     from the Trigger and never from the headers.
//   - The payload is read once more, for the fields that extensions have, when it
//     is known to be the sender's. All of those come under one key, git: EventListeners
//     merge interceptors' extensions by their top keys, and the later one wins.
//     Registries' and other events have the key, too, so that a binding works for
//     all of them.
//   - One line is logged per verdict, without anything that was sent but ids.
package interceptor

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/budget"
)

// Path is the one path that is served.
const Path = "/verify"

// Handler is the http.Handler that EventListeners call.
type Handler struct {
	config    Config
	secrets   SecretGetter
	replay    ReplayStore
	callers   CallerChecker
	observers []Observer
	log       logr.Logger
	now       func() time.Time
	bodies    *budget.Budget // of requests that are held at once
	slow      *mismatches
	params    paramsCache
}

// Options are what a handler reaches the world through.
type Options struct {
	Secrets   SecretGetter
	Replay    ReplayStore   // nil where nothing is remembered: Triggers that ask for it are refused
	Callers   CallerChecker // nil where no trigger is known: with callers verify, all are refused
	Observers []Observer    // beside the audit line, which is always written
	Log       logr.Logger
	Now       func() time.Time
	After     func(time.Duration) <-chan time.Time // nil for time.After
}

// New returns a handler. The configuration must be valid.
func New(config Config, o Options) *Handler {
	if o.After == nil {
		o.After = time.After
	}
	return &Handler{
		config: config, secrets: o.Secrets, replay: o.Replay, callers: o.Callers, log: o.Log, now: o.Now,
		observers: append([]Observer{auditor(o.Log)}, o.Observers...),
		bodies:    newBudget(config),
		slow:      &mismatches{after: o.After, secrets: map[triedSecret]*misses{}},
	}
}

// With returns a handler that judges by another configuration, which must be valid,
// and shares all else with h. Requests that h is answering it goes on to answer by
// its own.
func (h *Handler) With(config Config) *Handler {
	other := &Handler{
		config: config, secrets: h.secrets, replay: h.replay, callers: h.callers, log: h.log, now: h.now,
		observers: h.observers, bodies: h.bodies, slow: h.slow,
	}
	if config.MaxBodyBytes != h.config.MaxBodyBytes {
		other.bodies = newBudget(config)
	}
	return other
}

// ServeHTTP answers 404 and 405 to what cannot come from an EventListener, and
// 200 with a verdict to everything else.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path {
		http.Error(w, "there is nothing here but "+Path, http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "EventListeners use POST", http.StatusMethodNotAllowed)
		return
	}
	rec := &Record{Time: h.now()}
	git, err := h.judge(w, r, rec)
	h.observe(rec, err)
	h.slow.hold(r.Context(), rec, h.now())
	w.Header()["Content-Type"] = applicationJSON
	w.Write(answer(git, err)) // if the EventListener has gone, nobody is left to tell
}

var applicationJSON = []string{"application/json"}

// judge returns the extensions of an event that may continue, or a refusal.
func (h *Handler) judge(w http.ResponseWriter, r *http.Request, rec *Record) (git *provider.Git, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The panic's value could quote what was sent; its type cannot.
			git, err = nil, fmt.Errorf("panic with %T", p)
			h.log.Error(err, "refusing an event after a panic", "stack", string(debug.Stack()))
		}
	}()
	body := h.bodies.Meter(w, r)
	defer body.Release()
	b := pool.Get().(*buffers)
	defer b.done()
	e, err := receive(w, r, h.config.MaxBodyBytes, b)
	if err != nil {
		return nil, err
	}
	if err := body.Charge(min(minCharge, h.config.MaxBodyBytes)); err != nil {
		return nil, unread(err)
	}
	return h.judgeEvent(r.Context(), e, &b.extract, rec)
}

func (h *Handler) judgeEvent(ctx context.Context, e envelope, x *provider.Extract, rec *Record) (*provider.Git, error) {
	rec.EventID = shortID(e.eventID)
	triggerID := string(e.triggerID)
	namespace, err := namespaceOf(triggerID)
	if err != nil {
		return nil, err
	}
	rec.TriggerID = triggerID
	p, err := h.params.parse(e.params)
	rec.Provider, rec.Mode = p.sender.From.Name, p.sender.Mode.Name
	if err != nil {
		return nil, err
	}
	sent := provider.Delivery{Headers: e.headers, URL: string(e.eventURL)}
	c := &call{h: h, p: p, namespace: namespace, sent: sent, body: e.body, rec: rec, extract: x}
	return c.judge(ctx)
}

// observe tells the observers of one verdict.
func (h *Handler) observe(rec *Record, err error) {
	rec.Duration = h.now().Sub(rec.Time)
	rec.Continue = err == nil
	switch {
	case err != nil:
		r := refusal.Of(err)
		rec.Reason, rec.Message, rec.Withheld = r.Reason, r.Message, r.Told != ""
	case rec.Verified:
		rec.Reason = reasonVerified
	default:
		rec.Reason = reasonInsecure
	}
	for _, o := range h.observers {
		h.tell(o, rec)
	}
}

// tell keeps an observer that panics from taking the answer along.
func (h *Handler) tell(o Observer, rec *Record) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error(fmt.Errorf("panic with %T", p), "an observer failed", "observer", fmt.Sprintf("%T", o))
		}
	}()
	o.Observe(*rec)
}

func shortID(id []byte) string {
	const longest = 128
	return string(id[:min(len(id), longest)])
}
