// Package budget bounds the bytes of all request bodies that a server holds at one time.
package budget

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Small is the size up to which a body may take bytes of the reserve.
const Small = 64 << 10

// ErrBusy is the error of a body for which the budget has no room.
var ErrBusy = errors.New("too many requests are being answered: send it again later")

// Budget counts the bytes of bodies as they are read. Neither a wrong Content-Length nor a
// body without one gets past it, and a body that was announced and does not arrive takes
// nothing. A part is reserved for small bodies.
type Budget struct {
	reserve int64
	wait    time.Duration

	mu      sync.Mutex
	free    int64
	bodies  uint64    // that ever took something
	large   int       // bodies that hold more than Small
	waiting []*waiter // the body that took something first comes first
}

// waiter is a body that needs more bytes than there are.
type waiter struct {
	body *Body
	need int64
	done chan error // buffered
}

// New returns a budget of so many bytes, of which only small bodies get the reserve. A body
// that does not fit waits for so long; if wait is 0, it is refused at once.
func New(bytes, reserve int64, wait time.Duration) *Budget {
	return &Budget{free: bytes, reserve: reserve, wait: wait}
}

// take takes n more bytes for a body.
func (b *Budget) take(ctx context.Context, m *Body, n int64) error {
	b.mu.Lock()
	if m.number == 0 {
		b.bodies++
		m.number = b.bodies
	}
	if b.fits(m, n, len(b.waiting) > 0) {
		b.grant(m, n)
		b.mu.Unlock()
		return nil
	}
	if b.wait == 0 {
		b.mu.Unlock()
		return ErrBusy
	}
	w := &waiter{m, n, make(chan error, 1)}
	at, _ := slices.BinarySearchFunc(b.waiting, m.number, func(w *waiter, number uint64) int {
		return cmp.Compare(w.body.number, number)
	})
	b.waiting = slices.Insert(b.waiting, at, w)
	b.unblock()
	b.mu.Unlock()
	return b.await(ctx, w)
}

// fits reports whether a body can have n more bytes. A large one gets none while others
// wait, since they would never have enough.
func (b *Budget) fits(m *Body, n int64, others bool) bool {
	if m.taken+n <= Small {
		return n <= b.free
	}
	return !others && n <= b.free-b.reserve
}

func (b *Budget) grant(m *Body, n int64) {
	if m.taken <= Small && m.taken+n > Small {
		b.large++
	}
	b.free -= n
	m.taken += n
}

// await waits until a waiter has its bytes, or is refused.
func (b *Budget) await(ctx context.Context, w *waiter) error {
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case err := <-w.done:
		return err
	case <-timer.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		b.serve() // it may have been in the way of others
		return ErrBusy
	}
	return <-w.done
}

// serve gives waiters what is free, in their order. Small ones pass large ones.
func (b *Budget) serve() {
	blocked := false
	b.waiting = slices.DeleteFunc(b.waiting, func(w *waiter) bool {
		if !b.fits(w.body, w.need, blocked) {
			blocked = true
			return false
		}
		b.grant(w.body, w.need)
		w.done <- nil
		return true
	})
}

// unblock refuses the newest large body if all large ones wait for each other: each holds
// what the others need, and none would be read to its end.
func (b *Budget) unblock() {
	stuck, newest := 0, -1
	for i, w := range b.waiting {
		if w.body.taken > Small {
			stuck, newest = stuck+1, i
		}
	}
	if stuck < 2 || stuck < b.large {
		return
	}
	b.waiting[newest].done <- ErrBusy
	b.waiting = slices.Delete(b.waiting, newest, newest+1)
}

// release returns all that a body took.
func (b *Budget) release(m *Body) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.taken > Small {
		b.large--
	}
	b.free += m.taken
	m.taken = 0
	b.serve()
	b.unblock()
}
