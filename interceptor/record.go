package interceptor

import (
	"context"
	"log/slog"
	"time"

	"github.com/go-logr/logr"

	"github.com/tekgate/tekgate/interceptor/provider"
)

// Record is what is known of one verdict. It never holds a payload, a header's
// value or a secret; names that came with the event are short and on one line.
type Record struct {
	Time     time.Time     // when the request arrived
	Duration time.Duration // until the verdict

	TriggerID string // namespaces/<namespace>/triggers/<name>; "" where the request named none
	EventID   string // as in the EventListener's answer to the forge
	Provider  string // as the params name it; "" where they cannot be read
	Mode      string

	// What the delivery says about itself. Until Verified it is anybody's word.
	Event      string
	Action     string
	Repository string
	Ref        string // as in refs/heads/main
	SHA        string
	Sender     string // the account that caused the event
	DeliveryID string

	Continue bool
	Reason   string // a word such as verified; see package refusal
	Message  string // why, in one sentence; "" for a pass. It may repeat params.
	Withheld bool   // the caller was told neither Reason nor Message, and Message repeats nothing but names
	Verified bool   // the secret's holder sent it, whatever came of it then

	Covers provider.Strength // what the signature covers; "" where not Verified

	Matched SecretKey     // the Secret and key that verified it; the zero value where none did
	Secret  SecretState   // of that Secret
	Newline bool          // a newline was taken off the end of the value that matched, or of one that did not
	Signed  bool          // the signature covers a time
	Skew    time.Duration // server's clock minus signed time, where Signed; at most 100 years
	Replay  ReplayResult  // what the replay store said; "" where it was not asked
	Cause   error         // an internal cause; for the log alone, the caller was not told
	Delay   time.Duration // for which the answer is held back, from Time on; see mismatches

	tried *triedSecrets // where Delay is set; a pointer keeps records comparable
}

// Observer learns of each verdict, before the caller does. It is called from many
// goroutines at once and must return quickly.
type Observer interface {
	Observe(Record)
}

// ObserverFunc is a function that is an Observer.
type ObserverFunc func(Record)

// Observe calls f.
func (f ObserverFunc) Observe(r Record) { f(r) }

// auditor returns the observer that writes one structured line per verdict.
func auditor(log logr.Logger) Observer {
	// Through logr a line costs a list of boxed values and a look at the call stack,
	// nearly as much again as the line itself.
	to := logr.ToSlogHandler(log)
	return ObserverFunc(func(r Record) { audit(to, &r) })
}

// audit leaves out the message where it may repeat params other than names.
func audit(to slog.Handler, r *Record) {
	ctx := context.Background()
	if !to.Enabled(ctx, slog.LevelInfo) {
		return
	}
	line := slog.NewRecord(time.Now(), slog.LevelInfo, "verdict", 0)
	line.AddAttrs(
		slog.String("provider", r.Provider), slog.String("eventID", r.EventID), slog.String("triggerID", r.TriggerID),
		slog.Bool("continue", r.Continue), slog.String("reason", r.Reason),
		slog.String("duration", r.Duration.String()),
	)
	if r.Cause != nil {
		line.AddAttrs(slog.String("cause", r.Cause.Error()))
	}
	if r.Withheld {
		line.AddAttrs(slog.String("message", r.Message), slog.String("answeredAfter", r.Delay.String()))
	}
	if r.Newline {
		line.AddAttrs(slog.String("note", "took one newline off the end of the Secret's value"))
	}
	// A log that cannot be written to is nobody's to tell.
	_ = to.Handle(ctx, line)
}
