package interceptor

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/budget"
	"github.com/tekgate/tekgate/internal/scan"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// envelope is Tekton's InterceptorRequest as it came. All of it is borrowed from
// the buffers that it was read into, so nothing of it may be kept.
type envelope struct {
	body    []byte // the forge's own bytes
	headers provider.Headers
	params  []byte // raw, so that duplicate keys in them are still seen

	context                      bool
	eventURL, eventID, triggerID []byte
}

// buffers are what one request is read into. They are used again: events come in
// bursts, and what an event costs is mostly memory that is asked for and cleared.
type buffers struct {
	raw, body []byte
	fields    []provider.HeaderField
	extract   provider.Extract
}

var pool = sync.Pool{New: func() any { return &buffers{} }}

// done gives the buffers back, unless one large event would keep its memory.
func (b *buffers) done() {
	const large = 4 << 20
	if cap(b.raw) > large || cap(b.body) > large {
		return
	}
	clear(b.fields[:cap(b.fields)])
	b.extract.Reset()
	pool.Put(b)
}

// minCharge is what the smallest request counts for, so that their number is bounded too:
// about 1,000 at once by default.
const minCharge = 32 << 10

// newBudget returns the budget for the bodies of events. EventListeners pass on whatever the
// internet sends, and ask for all triggers of an event at once: unbounded, a few large events
// would end the process. One of the largest fits beside what is reserved for small ones.
func newBudget(config Config) *budget.Budget {
	reserve := config.MaxBodyBytes / 4
	return budget.New(config.MaxBodyBytes+budget.Small+reserve, reserve, budgetTimeout)
}

// budgetTimeout, secretTimeout and replayTimeout together stay below the ten
// seconds that an EventListener waits for an answer.
const budgetTimeout = 3 * time.Second

// receive reads a request of at most limit bytes.
func receive(w http.ResponseWriter, r *http.Request, limit int64, b *buffers) (envelope, error) {
	if r.ContentLength > limit {
		return envelope{}, tooLarge(limit)
	}
	raw, err := budget.ReadAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength, b.raw)
	if err != nil {
		return envelope{}, unread(err)
	}
	b.raw = raw
	e, err := b.decode()
	if err != nil {
		return envelope{}, refusal.New(refusal.Request, codes.InvalidArgument,
			"the request is no InterceptorRequest in JSON: let an EventListener call this server, not the forge itself")
	}
	if !e.context {
		return envelope{}, refusal.New(refusal.TriggerID, codes.InvalidArgument,
			"the request has no context and so names no Trigger: let an EventListener call this server")
	}
	return e, nil
}

// unread returns the refusal of a request whose body could not be read.
func unread(err error) error {
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return tooLarge(exceeded.Limit)
	case errors.Is(err, budget.ErrBusy):
		return refusal.New(refusal.Busy, codes.Unavailable,
			"the interceptor is busy with other large events: redeliver this one, or run more replicas")
	case errors.Is(err, budget.ErrSlow):
		return refusal.New(refusal.Request, codes.InvalidArgument,
			"the request arrives too slowly, or not at all: send it again")
	}
	return refusal.New(refusal.Request, codes.InvalidArgument,
		"the request broke off before its end: send it again")
}

// decode reads the envelope. It says what encoding/json says of Tekton's type, and
// refuses two things more: a field that comes twice, and one whose name is written
// in another case. No EventListener sends such, and which of two bodies was signed
// is not for us to choose.
func (b *buffers) decode() (envelope, error) {
	var e envelope
	r, seen := scan.New(b.raw), 0
	if r.Null() {
		return e, r.End()
	}
	err := r.Object(func(key []byte) error {
		return once(key, envelopeFields, &seen, r, func(field int) error { return b.field(&e, field, r) })
	})
	if err != nil {
		return e, err
	}
	return e, r.End()
}

var (
	envelopeFields = []string{"body", "header", "extensions", "interceptor_params", "context"}
	contextFields  = []string{"event_url", "event_id", "trigger_id"}
)

// once calls read for a key that is one of fields, and refuses one that was seen
// or that encoding/json would take for one of them. Other values are skipped.
func once(key []byte, fields []string, seen *int, r *scan.Reader, read func(field int) error) error {
	for i, name := range fields {
		if string(key) == name {
			if *seen&(1<<i) != 0 {
				return scan.ErrSyntax
			}
			*seen |= 1 << i
			return read(i)
		}
	}
	for _, name := range fields {
		if strings.EqualFold(string(key), name) {
			return scan.ErrSyntax
		}
	}
	return r.Skip()
}

func (b *buffers) field(e *envelope, field int, r *scan.Reader) (err error) {
	switch envelopeFields[field] {
	case "body":
		e.body, err = b.readBody(r)
	case "header":
		e.headers, err = b.readHeaders(r)
	case "interceptor_params":
		e.params, err = r.Raw()
	case "context":
		err = e.readContext(r)
	default: // what earlier interceptors said is nobody's concern here
		err = r.Skip()
	}
	return err
}

func (b *buffers) readBody(r *scan.Reader) ([]byte, error) {
	if r.Null() {
		return nil, nil
	}
	// The quoted body is most of what is left, and never shorter than the body.
	if room := r.Rest() + 8; cap(b.body) < room {
		b.body = make([]byte, 0, room)
	}
	body, err := r.AppendString(b.body[:0])
	if err == nil {
		b.body = body
	}
	return body, err
}

func (e *envelope) readContext(r *scan.Reader) error {
	if r.Null() {
		return nil
	}
	e.context = true
	seen := 0
	return r.Object(func(key []byte) error {
		return once(key, contextFields, &seen, r, func(field int) (err error) {
			if r.Null() {
				return nil
			}
			into := [...]*[]byte{&e.eventURL, &e.eventID, &e.triggerID}
			*into[field], err = r.String()
			return err
		})
	})
}

func tooLarge(limit int64) error {
	return refusal.New(refusal.TooLarge, codes.InvalidArgument,
		"the event takes more than %d bytes: send smaller ones, or raise interceptor.maxBodyBytes in Tekgate's configuration",
		limit)
}

// namespaceOf returns the namespace in a trigger id, which is
// namespaces/<namespace>/triggers/<name>, without a name for a trigger that an
// EventListener holds itself, or namespaces/<namespace>/triggerGroups/<name>.
//
// Secrets are read in that namespace, so nothing is accepted that only looks like
// an id: an empty or odd namespace would turn the read into another one.
func namespaceOf(triggerID string) (string, error) {
	rest, found := strings.CutPrefix(triggerID, "namespaces/")
	namespace, rest, _ := strings.Cut(rest, "/")
	kind, name, both := strings.Cut(rest, "/")
	wellFormed := kind == "triggers" || kind == "triggerGroups" && name != ""
	if !found || !both || !wellFormed || strings.Contains(name, "/") || !isLabel(namespace) || !printable(name) {
		return "", badTriggerID(triggerID)
	}
	if isSystem(namespace) {
		return "", refusal.New(refusal.TriggerID, codes.PermissionDenied,
			"the trigger id names namespace %q, which belongs to the cluster: put the Trigger and its Secret into a namespace of your own",
			namespace)
	}
	return namespace, nil
}

// isSystem reports whether a namespace's Secrets are never read. Whoever reaches the server
// can name any Trigger, and could try guesses on the Secrets of the cluster's own parts.
func isSystem(namespace string) bool {
	switch namespace {
	case wellknown.TekgateNamespace, wellknown.DeliveriesNamespace, wellknown.PipelinesNamespace,
		wellknown.ResolversNamespace:
		return true
	}
	return strings.HasPrefix(namespace, "kube-")
}

// isLabel is validation.IsDNS1123Label of k8s.io/apimachinery, with which the tests
// compare it, without the regular expression: every event asks.
func isLabel(name string) bool {
	const longest = 63
	for i := range len(name) {
		c := name[i]
		inside := c == '-' && i > 0 && i < len(name)-1
		if !inside && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= longest
}

func badTriggerID(id string) error {
	return refusal.New(refusal.TriggerID, codes.InvalidArgument,
		"the trigger id is %s and not namespaces/<namespace>/triggers/<name>: let an EventListener call this server",
		refusal.Quote(id))
}

// printable allows more than names of objects, for Tekton does not check what a
// triggerGroup is called.
func printable(name string) bool {
	const longest = 253
	return len(name) <= longest && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// readHeaders reads Tekton's map of lists. A null is a list without values, or an
// empty value, as encoding/json has it.
func (b *buffers) readHeaders(r *scan.Reader) (provider.Headers, error) {
	b.fields = b.fields[:0]
	if r.Null() {
		return nil, nil
	}
	err := r.Object(func(name []byte) error {
		if r.Null() {
			return nil
		}
		return r.Array(func() (err error) {
			var value []byte
			if !r.Null() {
				if value, err = r.String(); err != nil {
					return err
				}
			}
			if len(b.fields) <= provider.MaxHeaderFields {
				b.fields = append(b.fields, provider.HeaderField{Name: name, Value: value})
			}
			return nil
		})
	})
	return b.fields, err
}
