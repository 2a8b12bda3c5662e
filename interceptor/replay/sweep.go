package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
)

const (
	grace      = time.Minute // before others' expired objects are deleted
	sweepEvery = time.Minute
	syncEvery  = 3 * time.Minute
	pageSize   = 500

	sweptPerMinute   = 2000 // Leases that a sweep may list for each minute until the next
	deletionsAtATime = 1000 // of folded claims; an upgrade can have many
)

// Run deletes what has expired and folds what is old, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	said := ""
	next := time.Time{} // sweep
	for {
		var err error
		if now := time.Now(); now.Before(next) {
			err = s.sync(ctx)
		} else {
			err = s.sweep(ctx)
			next = now.Add(s.sweepPause())
		}
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			s.options.Log.Error(err, "expired deliveries are not forgotten; trying again")
		case err == nil:
			said = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(time.Until(next), syncEvery)):
		}
	}
}

// sweepPause returns how long to wait after a sweep: not the same in all replicas, and longer
// where there are many Leases, since listing them is most of the cost.
func (s *Store) sweepPause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	pause := sweepEvery + time.Duration(rand.Int64N(int64(sweepEvery/2)))
	return pause + time.Duration(s.singles/sweptPerMinute)*time.Minute
}

// survey is what a list of Leases showed.
type survey struct {
	began   time.Time
	singles map[string][]single // by namespace
	folds   map[types.UID]*fold // nil for one that the store knows
	expired []*coordinationv1.Lease
	odd     map[string]int // Leases by namespace whose names are not of ours
}

// survey lists Leases of deliveries, all of them or only folds.
func (s *Store) survey(ctx context.Context, labels client.HasLabels) (*survey, error) {
	l := &survey{
		began: s.options.Now(), singles: map[string][]single{}, folds: map[types.UID]*fold{}, odd: map[string]int{},
	}
	list := &coordinationv1.LeaseList{}
	for page := ""; ; page = list.Continue {
		err := s.options.Client.List(ctx, list, client.InNamespace(s.options.Namespace), labels,
			client.Limit(pageSize), client.Continue(page))
		if err != nil {
			return nil, fmt.Errorf("listing the Leases of deliveries in namespace %s: %w", s.options.Namespace, err)
		}
		for i := range list.Items {
			if err := s.note(l, &list.Items[i]); err != nil {
				return nil, err
			}
		}
		if list.Continue == "" {
			return l, nil
		}
	}
}

// note adds a Lease to a survey.
func (s *Store) note(l *survey, lease *coordinationv1.Lease) error {
	namespace := lease.Labels[wellknown.ReplayNamespace]
	_, isFold := lease.Labels[wellknown.ReplayFold]
	if !expiry(lease).After(l.began.Add(-grace)) {
		l.expired = append(l.expired, bare(lease))
		return nil
	}
	if isFold {
		f, err := s.foldOf(lease)
		l.folds[lease.UID] = f
		return err
	}
	if one, ok := singleOf(lease); ok {
		l.singles[namespace] = append(l.singles[namespace], one)
	} else {
		l.odd[namespace]++
	}
	return nil
}

// foldOf reads a fold, or returns nil if the store has it.
func (s *Store) foldOf(lease *coordinationv1.Lease) (*fold, error) {
	s.mu.Lock()
	known := s.folds[lease.UID] != nil
	s.mu.Unlock()
	if known {
		return nil, nil
	}
	return readFold(lease, s.options.Now())
}

// sync learns which claims were folded.
func (s *Store) sync(ctx context.Context) error {
	l, err := s.survey(ctx, client.HasLabels{wellknown.ReplayFold})
	if err == nil {
		s.learn(l)
	}
	return err
}

// sweep deletes once what has expired or is folded, counts the rest, and folds what is old.
func (s *Store) sweep(ctx context.Context) error {
	l, err := s.survey(ctx, client.HasLabels{wellknown.ReplayNamespace})
	if err != nil {
		return err
	}
	s.learn(l)
	settled, fresh := 0, map[string][]single{}
	for namespace, all := range l.singles {
		for _, one := range all {
			folded, known := s.covered(one)
			switch {
			case !folded:
				fresh[namespace] = append(fresh[namespace], one)
			case known && settled < deletionsAtATime:
				settled++
				l.expired = append(l.expired, one.lease)
			}
		}
	}
	s.count(l, fresh)
	for _, lease := range l.expired {
		if err := s.remove(ctx, lease); err != nil {
			return err
		}
	}
	for namespace, claims := range fresh {
		if err := s.fold(ctx, namespace, s.old(claims)); err != nil {
			return err
		}
	}
	return nil
}

// old returns the claims that may be folded.
func (s *Store) old(claims []single) []single {
	now := s.options.Now()
	var old []single
	for _, c := range claims {
		if now.Sub(c.acquired) >= foldAfter && c.until.Sub(now) >= foldAfter {
			old = append(old, c)
		}
	}
	return old
}

// count counts the deliveries of a survey and of folds, and forgets those that have expired.
func (s *Store) count(l *survey, fresh map[string][]single) {
	old := l.began.Add(-grace)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts, s.total, s.singles = l.odd, 0, 0
	for namespace, claims := range fresh {
		s.counts[namespace] += len(claims)
	}
	for _, claims := range l.singles {
		s.singles += len(claims)
	}
	for d, r := range s.folded {
		if r.until.After(old) {
			s.counts[r.in.namespace]++
		} else {
			delete(s.folded, d)
		}
	}
	for _, n := range s.counts {
		s.total += n
	}
	for key, c := range s.known {
		d, _ := digestOf(key)
		if r, folded := s.folded[d]; !c.until.After(old) || folded && !r.until.Before(c.until) {
			delete(s.known, key)
		}
	}
}

// remove deletes exactly this Lease and none that has taken its place.
func (s *Store) remove(ctx context.Context, lease *coordinationv1.Lease) error {
	err := s.options.Client.Delete(ctx, lease,
		client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting the expired Lease %s/%s: %w", lease.Namespace, lease.Name, err)
	}
	return nil
}
