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
//     shape, and only then the Secret, the MAC, the age, the ping. What comes
//     before the Secret tells the caller only what it sent; what comes after says
//     the same whether a Secret is missing, forbidden, empty or short. That
//     matters because the protocol has no authentication: whoever reaches the
//     server can name any Trigger. A wrong MAC can be told from a missing Secret,
//     though, so a NetworkPolicy should let EventListeners in and nobody else.
//   - The MAC is over the body's own bytes and compared in constant time, in one
//     place for all providers. The provider and, where it matters, the mode come
//     from the Trigger and never from the headers.
//   - One line is logged per verdict, without anything that was sent but ids.
package interceptor

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
)

// Path is the one path that is served.
const Path = "/verify"

// Handler is the http.Handler that EventListeners call.
type Handler struct {
	config    Config
	secrets   SecretGetter
	replay    ReplayStore
	observers []Observer
	log       logr.Logger
	now       func() time.Time
	memory    *semaphore.Weighted // bytes of requests that may be held at once
}

// Options are what a handler reaches the world through.
type Options struct {
	Secrets   SecretGetter
	Replay    ReplayStore // nil where nothing is remembered: Triggers that ask for it are refused
	Observers []Observer  // beside the audit line, which is always written
	Log       logr.Logger
	Now       func() time.Time
}

// New returns a handler. The configuration must be valid.
func New(config Config, o Options) *Handler {
	return &Handler{
		config: config, secrets: o.Secrets, replay: o.Replay, log: o.Log, now: o.Now,
		observers: append([]Observer{Audit(o.Log)}, o.Observers...),
		memory:    semaphore.NewWeighted(config.MaxBodyBytes),
	}
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
	extensions, err := h.judge(w, r, rec)
	h.observe(rec, err)
	answer, err := json.Marshal(response(extensions, err))
	if err != nil { // cannot be: extensions are strings and booleans
		answer = []byte(`{"continue":false,"status":{"code":14}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(answer) // if the EventListener has gone, nobody is left to tell
}

// judge returns the extensions of an event that may continue, or a refusal.
func (h *Handler) judge(w http.ResponseWriter, r *http.Request, rec *Record) (extensions map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The panic's value could quote what was sent; its type cannot.
			extensions, err = nil, fmt.Errorf("panic with %T", p)
			h.log.Error(err, "refusing an event after a panic", "stack", string(debug.Stack()))
		}
	}()
	release, err := h.reserve(r)
	if err != nil {
		return nil, err
	}
	defer release()
	req, err := decode(w, r, h.config.MaxBodyBytes)
	if err != nil {
		return nil, err
	}
	rec.EventID = short(req.Context.EventID)
	namespace, err := namespaceOf(req.Context.TriggerID)
	if err != nil {
		return nil, err
	}
	rec.TriggerID = req.Context.TriggerID
	p, from, err := parseParams(req.Params)
	rec.Provider = from.Name
	if err != nil {
		return nil, err
	}
	said, err := readClaim(req, from)
	if err != nil {
		return nil, err
	}
	if err := h.verify(r.Context(), namespace, p, said, req.Body, rec); err != nil {
		return nil, err
	}
	return h.conclude(p, from, said)
}

func readClaim(req *request, from Provider) (claim, error) {
	sent := canonicalHeaders(req.Header)
	if err := sent.refuseForm(); err != nil {
		return claim{}, err
	}
	return from.read(sent)
}

// verify compares the MAC that came with the one that the Secret makes.
func (h *Handler) verify(ctx context.Context, namespace string, p params, said claim, body string, rec *Record) error {
	secret, err := h.secret(ctx, namespace, p.SecretRef, rec)
	if err != nil {
		return err
	}
	if hmac.Equal(said.digest, said.mac(secret, body)) {
		return nil
	}
	if said.mismatch != nil {
		if why := said.mismatch(body); why != "" {
			return refuse(reasonSignature, codes.Unauthenticated, "the signature does not match: %s", why)
		}
	}
	return refuse(reasonSignature, codes.Unauthenticated,
		"the signature does not match the Secret %q with key %q in namespace %q: give it and the hook's settings at the forge the same value, without blanks or newlines around it",
		p.SecretRef.SecretName, p.SecretRef.SecretKey, namespace)
}

// conclude judges a delivery whose signature is right.
func (h *Handler) conclude(p params, from Provider, said claim) (map[string]any, error) {
	if from.SignsTime {
		maxAge := h.config.MaxAge.Duration
		if p.MaxAge != nil {
			maxAge = p.MaxAge.Duration
		}
		if err := checkAge(h.now(), said.signedAt, maxAge, h.config.MaxSkew.Duration); err != nil {
			return nil, err
		}
	}
	if said.ping {
		return nil, refuse(reasonPing, codes.OK, "ping")
	}
	// One key of our own: extensions of several interceptors are merged by their
	// top keys, and the later one wins.
	return map[string]any{"git": map[string]any{"provider": from.Name, "event": said.event, "verified": true}}, nil
}

// checkAge compares in milliseconds, since the largest timestamps do not fit into
// a Duration.
func checkAge(now time.Time, signedAt int64, maxAge, maxSkew time.Duration) error {
	age := now.UnixMilli() - signedAt
	if age > maxAge.Milliseconds() {
		return refuse(reasonStale, codes.Unauthenticated,
			"the delivery was signed %s ago by this server's clock, and maxAge is %s: redeliver it, or set the clocks, or raise param maxAge", span(age), maxAge)
	}
	if -age > maxSkew.Milliseconds() {
		return refuse(reasonFuture, codes.Unauthenticated,
			"the delivery was signed %s ahead of this server's clock, and interceptor.maxSkew is %s: set the clocks", span(-age), maxSkew)
	}
	return nil
}

// span writes milliseconds as people do; what no Duration holds is cut to 100 years.
func span(ms int64) string {
	const longest = 100 * 365 * 24 * time.Hour
	return (time.Duration(min(ms, longest.Milliseconds())) * time.Millisecond).String()
}

// observe tells the observers of one verdict.
func (h *Handler) observe(rec *Record, err error) {
	rec.Duration = h.now().Sub(rec.Time)
	rec.Continue, rec.Reason = err == nil, reasonVerified
	if err != nil {
		r := asRefusal(err)
		rec.Reason, rec.Message = r.reason, r.message
	}
	for _, o := range h.observers {
		o.Observe(*rec)
	}
}

func short(id string) string {
	const longest = 128
	return id[:min(len(id), longest)]
}
