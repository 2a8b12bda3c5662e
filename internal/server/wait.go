package server

import (
	"context"
	"time"
)

// EveryReplica makes a manager run the type that embeds it in every replica, without leader
// election.
type EveryReplica struct{}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (EveryReplica) NeedLeaderElection() bool { return false }

// Notifier wakes the goroutine that waits for it. Notifications that come while one is
// pending are merged.
type Notifier chan struct{}

// NewNotifier returns a Notifier without a pending notification.
func NewNotifier() Notifier { return make(Notifier, 1) }

// Notify never blocks.
func (n Notifier) Notify() {
	select {
	case n <- struct{}{}:
	default: // one is pending
	}
}

// Sleep waits for a time, or until wake is notified; wake may be nil. It reports false if
// ctx has ended.
func Sleep(ctx context.Context, wait time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// The times of a Backoff.
const (
	firstBackoff   = 250 * time.Millisecond
	longestBackoff = 30 * time.Second
	backoffReset   = 2 * time.Minute // after the last write
)

// Backoff delays a write that another writer keeps undoing: two writers that repair each
// other's work without a pause overload etcd. The first write is not delayed.
type Backoff struct {
	last  time.Time
	delay time.Duration // after last
}

// Remaining returns how long to wait before the next write. It is not positive if that may
// happen now.
func (b *Backoff) Remaining() time.Duration { return time.Until(b.last.Add(b.delay)) }

// Wrote notes a write, and doubles the delay before the next one.
func (b *Backoff) Wrote() {
	now := time.Now()
	b.delay = min(2*b.delay, longestBackoff)
	if now.Sub(b.last) > backoffReset {
		b.delay = firstBackoff
	}
	b.last = now
}

// Status is the last reported text of a state, so that each change is logged once.
type Status struct{ last string }

// Changed takes a new text, and reports whether it differs from the one before.
func (s *Status) Changed(text string) bool {
	changed := text != s.last
	s.last = text
	return changed
}
