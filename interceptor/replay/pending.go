package replay

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
)

// pending is a claim that callers wait for. If none of them gets the answer, all of them
// refuse the event as one to send again, so the claim must not make a replay of it.
type pending struct {
	lease    *coordinationv1.Lease // that the claim creates
	sent     bool                  // perhaps it did
	waiting  int
	answered bool
}

// enter notes a caller that waits for a claim.
func (s *Store) enter(flight string, c interceptor.ReplayClaim, holder string) *pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending[flight]
	if p == nil {
		p = &pending{lease: s.lease(c, holder)}
		s.pending[flight] = p
	}
	p.waiting++
	return p
}

// leave notes that a caller has its answer, or waits no longer. It reports whether nobody
// waits who could get the answer, and nobody got it.
func (s *Store) leave(flight string, p *pending, answered bool) (abandoned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.waiting--
	p.answered = p.answered || answered
	if p.waiting == 0 && p.answered {
		delete(s.pending, flight)
	}
	return p.waiting == 0 && !p.answered
}

// abandon releases a claim that nobody got an answer to, unless another caller has come for
// it since.
func (s *Store) abandon(flight string, p *pending, c interceptor.ReplayClaim, holder string) {
	s.mu.Lock()
	gone := p.waiting == 0 && !p.answered && s.pending[flight] == p
	if gone {
		delete(s.pending, flight)
		if s.known[c.Key].holder == holder {
			delete(s.known, c.Key)
		}
	}
	s.mu.Unlock()
	if !gone || !p.sent {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	for {
		err := s.release(ctx, p.lease)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.options.Log.Error(err, "a delivery that was not answered counts as one that came")
			return
		case <-time.After(releasePause):
		}
	}
}

// release deletes the Lease if this claim created it. The answer to the create may have been
// lost, so the Lease is known by its holder and its time.
func (s *Store) release(ctx context.Context, created *coordinationv1.Lease) error {
	live := &coordinationv1.Lease{}
	err := s.options.Client.Get(ctx, client.ObjectKeyFromObject(created), live)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	was, is := created.Spec, live.Spec
	if is.HolderIdentity == nil || *is.HolderIdentity != *was.HolderIdentity || !is.AcquireTime.Equal(was.AcquireTime) {
		return nil
	}
	return s.remove(ctx, live)
}
