// Package deliveries remembers the last verdicts of each trigger, so that somebody
// whose build did not start finds out why.
//
// A forge is told 202 whatever becomes of its event, and an EventListener logs a
// refusal at debug level, so the one place that knows is here. What is kept is
// what the audit line has, and the sentence that the EventListener was told:
// never a payload, a header or a secret. It is kept in memory alone, bounded in
// triggers and in verdicts per trigger, and every replica has those that it gave;
// `tekgate hook deliveries` puts them together.
//
// The names in it came from outside and the server is read with a browser, so the
// page is rendered by html/template, without scripts, under a policy that allows
// none; and only a Host that means this machine is answered, because a page from
// elsewhere could otherwise read it by having its own name resolve to loopback.
package deliveries

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekgate/tekgate/interceptor"
)

// Delivery is one verdict as it is shown.
type Delivery struct {
	Replica string    `json:"replica"`
	Number  int64     `json:"number"` // counts the verdicts of a replica
	Time    time.Time `json:"time"`
	// Milliseconds is how long the verdict took.
	Milliseconds float64 `json:"milliseconds"`

	Namespace string `json:"namespace"` // of the trigger
	Trigger   string `json:"trigger"`   // its name, or group/<name> for a trigger group
	EventID   string `json:"eventID"`   // as in the EventListener's answer and on the runs
	Provider  string `json:"provider"`
	Event     string `json:"event"`

	Action     string `json:"action,omitempty"`
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	SHA        string `json:"sha,omitempty"`
	Sender     string `json:"sender,omitempty"`
	DeliveryID string `json:"deliveryID,omitempty"` // the forge's own

	Continue bool   `json:"continue"`
	Reason   string `json:"reason"`
	Message  string `json:"message,omitempty"` // what the EventListener was told
	Cause    string `json:"cause,omitempty"`   // what it was not told
	// Verified says that the holder of the secret sent it. Until then event,
	// repository and the like are anybody's word.
	Verified bool   `json:"verified"`
	Covers   string `json:"covers,omitempty"` // what the signature covers: body, time or token
	Secret   string `json:"secret,omitempty"` // name/key of the Secret that verified it
	// SkewMilliseconds is by how much our clock was ahead of the time that was
	// signed; null where none was.
	SkewMilliseconds *int64 `json:"skewMilliseconds,omitempty"`
	Replay           string `json:"replay,omitempty"`
}

// Options bound a Log.
type Options struct {
	Replica    string // this process's name, such as its Pod's
	PerTrigger int    // verdicts that are kept of each trigger
	Triggers   int    // triggers that any are kept of
}

// Log remembers verdicts. It is safe for use by several goroutines.
type Log struct {
	options Options

	mu     sync.Mutex
	count  int64
	recent map[string]*ring // by trigger id
}

// ring holds the last verdicts of one trigger.
type ring struct {
	items    []Delivery
	next     int   // where the next one goes once items is full
	last     int64 // the number of the last one
	verified bool  // any of them ever was
}

// New returns an empty log.
func New(o Options) *Log {
	return &Log{options: o, recent: map[string]*ring{}}
}

// SetBounds changes Options.PerTrigger and Options.Triggers, and forgets what is
// above them, the oldest first.
func (l *Log) SetBounds(perTrigger, triggers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.options.PerTrigger, l.options.Triggers = perTrigger, triggers
	for len(l.recent) > triggers {
		l.forgetOne()
	}
	for _, of := range l.recent {
		slices.SortFunc(of.items, func(a, b Delivery) int { return cmp.Compare(a.Number, b.Number) })
		of.items = slices.Clone(of.items[max(0, len(of.items)-perTrigger):])
		of.next = 0
	}
}

// Observe implements interceptor.Observer.
func (l *Log) Observe(r interceptor.Record) {
	d := delivery(r)
	d.Replica = l.options.Replica
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.recent[r.TriggerID]
	if of == nil {
		if len(l.recent) >= l.options.Triggers {
			l.forgetOne()
		}
		of = &ring{}
		l.recent[r.TriggerID] = of
	}
	l.count++
	d.Number, of.last = l.count, l.count
	of.verified = of.verified || r.Verified
	if len(of.items) < l.options.PerTrigger {
		of.items = append(of.items, d)
		return
	}
	of.items[of.next] = d
	of.next = (of.next + 1) % len(of.items)
}

// forgetOne forgets the trigger that had no event for the longest time, first of
// those that never had a verified one: their names may have been made up.
func (l *Log) forgetOne() {
	var worst string
	var of *ring
	for id, r := range l.recent {
		if of == nil || r.verified != of.verified && of.verified || r.verified == of.verified && r.last < of.last {
			worst, of = id, r
		}
	}
	delete(l.recent, worst)
}

// List returns what f asks for, the newest first.
func (l *Log) List(f Filter) []Delivery {
	l.mu.Lock()
	var all []Delivery
	for _, r := range l.recent {
		all = append(all, r.items...)
	}
	l.mu.Unlock()
	return f.Apply(all)
}

// Filter says which deliveries are wanted; its zero value means all.
type Filter struct {
	Namespace string
	Trigger   string // a name, or group/<name>
	Reason    string
	EventID   string
	Refused   bool // only those that were refused
	Limit     int  // how many, the newest; 0 for all
}

func (f Filter) wants(d *Delivery) bool {
	return (f.Namespace == "" || d.Namespace == f.Namespace) &&
		(f.Trigger == "" || d.Trigger == f.Trigger) &&
		(f.Reason == "" || d.Reason == f.Reason) &&
		(f.EventID == "" || d.EventID == f.EventID) &&
		(!f.Refused || !d.Continue)
}

// Apply returns the deliveries that are wanted, the newest first.
func (f Filter) Apply(all []Delivery) []Delivery {
	wanted := make([]Delivery, 0, len(all))
	for i := range all {
		if f.wants(&all[i]) {
			wanted = append(wanted, all[i])
		}
	}
	slices.SortFunc(wanted, func(a, b Delivery) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.Replica, b.Replica), cmp.Compare(b.Number, a.Number))
	})
	if f.Limit > 0 && len(wanted) > f.Limit {
		wanted = wanted[:f.Limit]
	}
	return wanted
}

func delivery(r interceptor.Record) Delivery {
	d := Delivery{
		Time: r.Time.UTC(), Milliseconds: float64(r.Duration.Microseconds()) / 1000,
		EventID: short(r.EventID), Provider: r.Provider, Event: short(r.Event), Action: short(r.Action),
		Repository: short(r.Repository), Ref: short(r.Ref), SHA: short(r.SHA), Sender: short(r.Sender),
		DeliveryID: short(r.DeliveryID),
		Continue:   r.Continue, Reason: r.Reason, Message: short(r.Message), Verified: r.Verified,
		Covers: string(r.Covers),
		Replay: string(r.Replay),
	}
	d.Namespace, d.Trigger = Trigger(r.TriggerID)
	if r.Cause != nil {
		d.Cause = short(r.Cause.Error())
	}
	if r.Matched != (interceptor.SecretKey{}) {
		d.Secret = r.Matched.Name + "/" + r.Matched.Key
	}
	if r.Signed {
		skew := r.Skew.Milliseconds()
		d.SkewMilliseconds = &skew
	}
	return d
}

// Trigger takes apart a trigger id that the interceptor has found well formed: that
// of a trigger group becomes the name group/<name>.
func Trigger(id string) (namespace, name string) {
	parts := strings.SplitN(id, "/", 4)
	if len(parts) != 4 {
		return "", ""
	}
	if parts[2] == "triggerGroups" {
		return parts[1], "group/" + parts[3]
	}
	return parts[1], parts[3]
}

// short bounds what one word costs. A copy lets the rest of what it was cut from go.
func short(word string) string {
	const longest = 512
	return strings.Clone(word[:min(len(word), longest)])
}
