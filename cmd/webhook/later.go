package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator"
)

const (
	// laterSettle is how soon after admission an object can be expected to be
	// stored: other webhooks are asked after this one.
	laterSettle = 3 * time.Second
	// laterMost bounds the objects that wait for each of the two visits, see
	// visitKey. One takes some 300 bytes.
	laterMost = 500
	// laterQuiet is how long nothing is said twice about an object and a rule. It
	// is as long as an API server keeps Events, unless it is told otherwise.
	laterQuiet = time.Hour
	// laterTold bounds what is remembered of that.
	laterTold = 4096
	// laterRate and laterBurst bound the requests that read objects and write
	// Events: 60 in a minute once the first 60 are spent.
	laterRate, laterBurst = 1, 60

	laterTimeout = 10 * time.Second
)

// later tells people as Events what admission found and did not refuse. It looks at
// the object again for that, as it is stored: what admission was asked about may
// never have come to be, because another webhook refused it or because of a dry run
// of the client's own; and what was wrong then may be right by now.
//
//   - Findings of rules whose mode is audit it tells as soon as the object is there.
//   - Findings about other objects it tells once the grace of Config.References is
//     over, and only if they are still true.
//
// An object that is created with generateName has its name, and its uid, by the time
// validating webhooks are asked: the API server generates both after the mutating
// ones, and anew if the name is taken. So an object is the one that was judged if the
// uid is the same, and whatever has another uid is somebody else's.
//
// One Event tells of one rule and one object. Its name is made of the two, so that
// all replicas tell it once for as long as the API server keeps it. It holds nothing
// but where and what the finding is.
//
// What waits is bounded, what it costs the API server is bounded, and what is beyond
// that is dropped and counted. A restart forgets what waits: `tekgate audit` finds all
// of it at any time.
type later struct {
	server.EveryReplica
	live    client.Reader
	writer  client.Client
	judge   func() *validator.Validator // the rules in force
	dropped func()
	settle  time.Duration
	limit   flowcontrol.RateLimiter
	log     logr.Logger

	mu      sync.Mutex
	waiting map[visitKey]visit
	told    map[told]time.Time
	wake    server.Notifier
}

// visitKey tells the two visits of one object apart.
type visitKey struct {
	uid   types.UID
	grace bool // after the grace, for findings about other objects
}

// visit is one look that is to be taken at an object.
type visit struct {
	visitKey
	kind            schema.GroupVersionKind
	namespace, name string
	due             time.Time
}

// told is what an Event has been written about.
type told struct {
	uid  types.UID
	rule string
}

func newLater(live client.Reader, writer client.Client, log logr.Logger) *later {
	return &later{
		live: live, writer: writer, log: log, settle: laterSettle, dropped: func() {},
		limit:   flowcontrol.NewTokenBucketRateLimiter(laterRate, laterBurst),
		waiting: map[visitKey]visit{}, told: map[told]time.Time{}, wake: server.NewNotifier(),
	}
}

// lookLater connects one with the rules in force, both ways.
func (s *program) lookLater(m manager.Manager, c *configuration) *later {
	l := newLater(m.GetAPIReader(), m.GetClient(), s.log.WithName("later"))
	l.judge = func() *validator.Validator { return c.current.Load().validate }
	l.dropped, c.later = s.counts.dropped.Inc, l.add
	return l
}

// add is validator.Validator.Later. It never waits for anything but its own lock,
// which nobody holds while asking the API server.
func (l *later) add(subject validator.Subject, findings []validator.Finding) {
	var r object.Reader
	meta := r.Fields(subject.Fields, "metadata")
	name, uid := r.Text(meta, "name"), types.UID(r.Text(meta, "uid"))
	if name == "" || uid == "" {
		l.dropped() // no API server says neither; and without them nothing can be found
		return
	}
	now, grace := time.Now(), l.judge().Config.References.Grace.Duration
	l.mu.Lock()
	defer l.mu.Unlock()
	for after, wait := range map[bool]time.Duration{false: l.settle, true: max(grace, l.settle)} {
		news := slices.ContainsFunc(findings, func(f validator.Finding) bool {
			return f.Others == after && !l.wasTold(told{uid, f.Rule}, now)
		})
		if news {
			l.put(visit{visitKey{uid, after}, subject.Kind, subject.Namespace, name, now.Add(wait)})
		}
	}
}

// put keeps the visit that is planned already, so that an object that is updated
// again and again is visited all the same.
func (l *later) put(v visit) {
	if _, known := l.waiting[v.visitKey]; known {
		return
	}
	same := 0
	for key := range l.waiting {
		if key.grace == v.grace {
			same++
		}
	}
	if same >= laterMost {
		l.dropped()
		return
	}
	l.waiting[v.visitKey] = v
	l.wake.Notify()
}

func (l *later) wasTold(what told, now time.Time) bool {
	at, known := l.told[what]
	return known && now.Sub(at) < laterQuiet
}

// remember forgets what is old, and everything where there is too much: then the
// names of the Events still keep them from being written twice.
func (l *later) remember(what told) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.told) >= laterTold {
		for key := range l.told {
			if !l.wasTold(key, now) {
				delete(l.told, key)
			}
		}
		if len(l.told) >= laterTold {
			clear(l.told)
		}
	}
	l.told[what] = now
}

// Start visits objects until ctx ends.
func (l *later) Start(ctx context.Context) error {
	for {
		v, wait := l.next(time.Now())
		if wait == 0 {
			if err := l.lookSafely(ctx, v); err != nil && ctx.Err() == nil {
				l.dropped()
				l.log.Error(err, "what was found is not told as an Event", "kind", v.kind.Kind, "namespace",
					v.namespace, "name", v.name)
			}
		}
		if !server.Sleep(ctx, wait, l.wake) {
			return nil
		}
	}
}

// next takes the visit that is due, or says how long to wait for one.
func (l *later) next(now time.Time) (v visit, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := true
	for _, candidate := range l.waiting {
		if first || candidate.due.Before(v.due) {
			v, first = candidate, false
		}
	}
	if first {
		return visit{}, time.Hour
	}
	if wait = v.due.Sub(now); wait > 0 {
		return visit{}, wait
	}
	delete(l.waiting, v.visitKey)
	return v, 0
}

// lookSafely turns a panic of a rule into an error: an object that a rule cannot judge must
// not end the process. The value of the panic is not logged, since it may hold parts of the
// object.
func (l *later) lookSafely(ctx context.Context, v visit) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("a rule panicked with %T", cause)
			l.log.Error(err, "an object is not judged again", "kind", v.kind.Kind, "stack", string(debug.Stack()))
		}
	}()
	return l.look(ctx, v)
}

// look judges an object once more, and tells what is still wrong with it.
func (l *later) look(ctx context.Context, v visit) error {
	if err := l.limit.Wait(ctx); err != nil {
		return err
	}
	out, err := l.judged(ctx, v)
	if err != nil {
		return err
	}
	var problems []error
	for _, findings := range byRule(out.Findings) {
		if first := findings[0]; first.Others != v.grace || (!first.Others && first.Mode != validator.Audit) {
			continue
		}
		problems = append(problems, l.tell(ctx, v, findings))
	}
	return errors.Join(problems...)
}

// judged judges the object as it is stored. One that is gone has no findings.
func (l *later) judged(ctx context.Context, v visit) (validator.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, laterTimeout)
	defer cancel()
	fields, err := l.read(ctx, v)
	if err != nil || fields == nil {
		return validator.Outcome{}, err
	}
	return l.judge().Judge(ctx, validator.Subject{Kind: v.kind, Namespace: v.namespace, Fields: fields}), nil
}

// byRule splits findings, which are in the order of the rules.
func byRule(findings []validator.Finding) [][]validator.Finding {
	at := map[string]int{}
	var split [][]validator.Finding
	for _, finding := range findings {
		i, known := at[finding.Rule]
		if !known {
			i = len(split)
			at[finding.Rule], split = i, append(split, nil)
		}
		split[i] = append(split[i], finding)
	}
	return split
}

// read returns the object as it is stored, nil if it is gone or about to go.
func (l *later) read(ctx context.Context, v visit) (map[string]any, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(v.kind)
	err := l.live.Get(ctx, client.ObjectKey{Namespace: v.namespace, Name: v.name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s/%s: %w", v.kind.Kind, v.namespace, v.name, err)
	case found.GetUID() != v.uid || found.GetDeletionTimestamp() != nil:
		return nil, nil
	}
	raw, err := json.Marshal(found.Object)
	if err != nil {
		return nil, err
	}
	return object.Decode(raw) // numbers are as rules expect them
}

// tell writes one Event about the findings of one rule.
func (l *later) tell(ctx context.Context, v visit, findings []validator.Finding) error {
	what := told{v.uid, findings[0].Rule}
	l.mu.Lock()
	known := l.wasTold(what, time.Now())
	l.mu.Unlock()
	if known {
		return nil
	}
	if err := l.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, laterTimeout)
	defer cancel()
	err := l.writer.Create(ctx, eventAbout(v, findings))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("writing an Event about rule %s: %w", what.rule, err)
	}
	l.remember(what)
	return nil
}

// The reasons of Events.
const (
	reasonDangling = "DanglingReference"
	reasonFinding  = "PolicyFinding"
)

func eventAbout(v visit, findings []validator.Finding) *eventsv1.Event {
	reason, rule := reasonFinding, findings[0].Rule
	if rule == "dangling-reference" {
		reason = reasonDangling
	}
	namespace := v.namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault // where Events about a cluster's objects have to be
	}
	host, _ := os.Hostname()
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: eventName(v, rule)},
		EventTime:           metav1.NowMicro(),
		Type:                corev1.EventTypeWarning,
		Reason:              reason,
		Action:              "Judge",
		Note:                note(findings),
		ReportingController: wellknown.Webhook,
		ReportingInstance:   shortened(wellknown.Webhook+"-"+host, 128),
		Regarding: corev1.ObjectReference{
			APIVersion: v.kind.GroupVersion().String(), Kind: v.kind.Kind, Namespace: v.namespace, Name: v.name,
			UID: v.uid,
		},
	}
}

// eventName is the same in every replica.
func eventName(v visit, rule string) string {
	sum := sha256.Sum256([]byte(string(v.uid) + "\n" + rule))
	name := v.name
	if len(name) > 200 {
		name = strings.TrimRight(name[:200], ".-")
	}
	return name + "." + hex.EncodeToString(sum[:8])
}

// note is what the Event says: `path: message (rule)` of the first, and how many more
// there are.
func note(findings []validator.Finding) string {
	const most = 1000 // an Event's note may have 1,024 bytes
	f := findings[0]
	tail := " (" + f.Rule + ")"
	if more := len(findings) - 1; more > 0 {
		tail += fmt.Sprintf(", and %d more like it", more)
	}
	return shortened(f.Path+": "+f.Message, most-len(tail)) + tail
}

// shortened cuts a text to some bytes, between two characters.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
