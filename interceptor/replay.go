package interceptor

import (
	"context"
	"time"
)

// ReplayStore remembers which deliveries came already, for the param replay.
type ReplayStore interface {
	// Claim notes that c.EventID uses c.Key until c.Until, unless another event
	// did. The first claim stands: a later one neither renames nor prolongs it.
	// Unless a caller gets an answer before its ctx ends, the claim does not count:
	// its delivery is refused, and sent again.
	// An error means that nothing is known.
	Claim(ctx context.Context, c ReplayClaim) (ReplayResult, error)
}

// ReplayClaim is one delivery that was verified.
type ReplayClaim struct {
	// Namespace is the Trigger's, whose Secret verified the delivery.
	Namespace string
	// Key is 64 hexadecimal digits: a digest of namespace, provider, Secret,
	// signature and body, and fit for an object's name. It tells nothing of them.
	Key string
	// EventID is the EventListener's: the same for all triggers of one event, each
	// of which makes a call of its own. At most 128 bytes, of any kind.
	EventID string
	// Until is when the delivery would be refused as too old, or else the end of
	// the configured retention.
	Until time.Time
}

// ReplayResult is what a store knows of a key.
type ReplayResult string

// The results.
const (
	ReplayFirst ReplayResult = "first"      // nobody used the key before
	ReplaySame  ReplayResult = "same-event" // this event did, in another trigger
	ReplaySeen  ReplayResult = "seen"       // another event did
)
