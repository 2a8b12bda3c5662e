package interceptor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// unverified makes one answer of all refusals that depend on Secrets and Triggers. Anybody
// in the cluster can post a request here, and must not learn from the answer, nor from the
// time that it takes, which of them exist.
func (c *call) unverified(err error) error {
	r := *refusal.Of(err)
	switch r.Reason {
	case refusal.Secret, refusal.Signature, refusal.Caller:
	default:
		return err
	}
	r.Code = codes.Unauthenticated
	r.Told = fmt.Sprintf("the delivery is not verified: the log of deployment/%s has the reason, with event id %s, and `tekgate hook deliveries --refused -n %s` explains it",
		wellknown.Interceptor, refusal.Quote(c.rec.EventID), c.namespace)
	tried := make(triedSecrets, 0, len(c.p.SecretRefs))
	for _, ref := range c.p.SecretRefs {
		tried = append(tried, triedSecret{c.namespace, ref})
	}
	c.rec.Delay, c.rec.tried = c.h.slow.note(tried, c.rec.Time), &tried
	return &r
}

// How refusals of unverified deliveries are slowed down. Delays count from the arrival of
// the request, so leastDelay hides how long most checks take, and the longest one with them
// stays below the ten seconds that an EventListener waits.
const (
	leastDelay    = 250 * time.Millisecond
	mostDelay     = 4 * time.Second
	freeMisses    = 10               // of a Secret, before delays double with each
	missesMemory  = 10 * time.Minute // without a further one
	maxMissed     = 1024             // Secrets that are counted
	maxHeld       = 256              // answers that are held back at once
	maxHeldSecret = 32               // and of these for one Secret
)

// mismatches holds back the answers to deliveries that were not verified, by Secret. Each
// delivery is judged at once, and one that is right is answered at once, so nobody who
// guesses delays the forge. A held answer keeps neither the request's buffers nor its part
// of the budget for bodies. Where too many are held, further ones are sent at once.
type mismatches struct {
	after func(time.Duration) <-chan time.Time

	mu      sync.Mutex
	secrets map[triedSecret]*misses
	held    int
}

// Slowed reports whether the answer is held back longer than those of the first refusals.
func (r *Record) Slowed() bool { return r.Delay > leastDelay }

// triedSecret names a Secret's value in the cluster.
type triedSecret struct {
	namespace string
	SecretKey
}

type triedSecrets []triedSecret

// misses counts the deliveries that a Secret did not verify.
type misses struct {
	count int
	last  time.Time
	held  int
}

// note counts a delivery that none of the Secrets verified, and returns for how long its
// answer is to be held back.
func (m *mismatches) note(tried triedSecrets, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	delay := leastDelay
	for _, secret := range tried {
		s := m.secret(secret, now)
		s.count, s.last = s.count+1, now
		delay = max(delay, delayAfter(s.count))
	}
	return delay
}

func delayAfter(count int) time.Duration {
	const doublings = 4 // until mostDelay
	return min(mostDelay, leastDelay<<min(max(0, count-freeMisses), doublings))
}

// secret returns the counter of a Secret, and makes room for a new one. Those with the
// fewest misses go first: their names may have been made up.
func (m *mismatches) secret(key triedSecret, now time.Time) *misses {
	s := m.secrets[key]
	if s != nil {
		if now.Sub(s.last) > missesMemory {
			s.count = 0
		}
		return s
	}
	if len(m.secrets) >= maxMissed {
		m.makeRoom()
	}
	s = &misses{}
	m.secrets[key] = s
	return s
}

func (m *mismatches) makeRoom() {
	var least triedSecret
	var worst *misses
	for key, s := range m.secrets {
		if worst == nil || s.count < worst.count || s.count == worst.count && s.last.Before(worst.last) {
			least, worst = key, s
		}
	}
	delete(m.secrets, least)
}

// hold waits until the answer to a request may be sent.
func (m *mismatches) hold(ctx context.Context, rec *Record, now time.Time) {
	rest := rec.Delay - now.Sub(rec.Time)
	if rec.Delay == 0 || rest <= 0 {
		return
	}
	held, ok := m.enter(*rec.tried)
	if !ok {
		return
	}
	defer m.leave(held)
	select {
	case <-m.after(rest):
	case <-ctx.Done():
	}
}

// enter counts an answer that is held back, and reports whether there is room for it.
func (m *mismatches) enter(tried triedSecrets) ([]*misses, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held >= maxHeld {
		return nil, false
	}
	var found []*misses
	for _, secret := range tried {
		s := m.secrets[secret]
		if s == nil {
			continue
		}
		if s.held >= maxHeldSecret {
			return nil, false
		}
		found = append(found, s)
	}
	for _, s := range found {
		s.held++
	}
	m.held++
	return found, true
}

func (m *mismatches) leave(held []*misses) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range held {
		s.held--
	}
	m.held--
}
