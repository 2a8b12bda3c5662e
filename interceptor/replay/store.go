// Package replay remembers in the API server which deliveries came already.
//
// Whoever sees one delivery of Gitee's can send it again, with another body, for
// as long as its time is accepted; and of GitHub's and most others' for ever. To
// notice it, all replicas must know what any of them has seen, and there is one
// thing that all of them share: the API server creates an object of a name once
// and tells everybody else that it is there. So a delivery is an object, named
// after a digest that tells nothing of it, and who creates it was first.
//
// The objects are Leases, in a namespace that holds nothing else. A Lease is what
// Kubernetes itself uses for "this holder, until then"; it is small, and nobody
// watches those of this namespace, whereas every ConfigMap or Secret travels to
// everybody who watches those. Its holder is the event, because each trigger of
// an event makes a call of its own and the second of them is no replay.
//
// A claim counts once a caller has its answer: an event that was refused because the answer
// came too late, or got lost, may be sent again.
//
// # Folding
//
// A Lease for each delivery of a week is too much: with its managedFields it takes 646 bytes
// in etcd and 913 in JSON, and a list of 1000 takes 39 ms. So claims are folded once they are
// an hour old, which is long after their answers: a replica that finds at least 200 of one
// namespace writes 16 bytes of each key, and when the claim expires, into an annotation of one
// Lease, and later deletes the Leases of these claims. A delivery then takes 27 bytes in etcd
// and in JSON, up to 31 in the smallest fold, and a list of 1000 takes 2 ms. To measure both:
//
//	go test ./interceptor/replay -run TestOnAPIServer/size -v
//
// A folded claim has no holder: any later event with its key is a replay. Folds are never
// changed, so the interceptor needs no right to update. Two replicas that fold the same claims
// give the fold the same name, and the second one does not create it.
//
// A claim is first only if neither its Lease existed nor a fold has its key, so each replica
// keeps the folded keys in memory. Nothing tells a replica about a new fold, hence two limits:
// a replica answers only from a list of all folds that began in the last 10 minutes, which it
// checks after its Lease was created (it lists again, or else fails as for an API server that
// is away); and a Lease is deleted only by a replica that has known its fold for 30 minutes.
// So a claim that can create a Lease again is judged with a list that has the fold. Both times
// are durations of one process: clocks need not agree.
//
// Expired Leases are deleted by every replica, a minute late, for clocks differ.
// The number of deliveries is bounded, also for each namespace of Triggers by itself: only
// who holds a secret can have any made, but one who does should not be able to fill
// etcd, or to lock out others. What is above the bound is not known, and it is for
// the param replay to say whether that stops an event.
package replay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/wellknown"
)

const (
	prefix       = "replay-"
	claimTimeout = 3 * time.Second

	releaseTimeout = time.Minute // for a claim that nobody got an answer to
	releasePause   = 10 * time.Second
)

// Options configure a Store.
type Options struct {
	Client       client.Client // must not be cached; needs get, list, create and delete on Leases
	Namespace    string        // where the Leases live
	Max          int           // how many there may be
	MaxNamespace int           // how many for the Triggers of one namespace
	Log          logr.Logger
	Now          func() time.Time
}

// Store implements interceptor.ReplayStore. It is safe for use by several
// goroutines.
type Store struct {
	options Options
	flights singleflight.Group

	mu      sync.Mutex
	known   map[string]claim // by key; what this replica has seen, until it expires
	counts  map[string]int   // deliveries by namespace, from the last sweep and since
	total   int
	singles int // Leases of one delivery, from the last sweep

	folds  map[types.UID]*fold
	folded map[digest]record
	listed time.Time // when the last list began that had all folds

	pending map[string]*pending // by key and holder
}

type claim struct {
	holder string
	until  time.Time
}

var _ interceptor.ReplayStore = (*Store)(nil)

// New returns a store. Run must run beside it.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		options: o, known: map[string]claim{}, counts: map[string]int{}, pending: map[string]*pending{},
		folds: map[types.UID]*fold{}, folded: map[digest]record{},
	}
}

// SetBounds changes Options.Max and Options.MaxNamespace. What is there already
// stays.
func (s *Store) SetBounds(most, perNamespace int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Max, s.options.MaxNamespace = most, perNamespace
}

// Claim implements interceptor.ReplayStore.
func (s *Store) Claim(ctx context.Context, c interceptor.ReplayClaim) (interceptor.ReplayResult, error) {
	holder := holderOf(c.EventID)
	if result := s.remembered(c.Key, holder); result != "" {
		return result, nil
	}
	// The triggers of one event come at once, and one of them asks for all.
	flight, asked := c.Key+holder, false
	p := s.enter(flight, c, holder)
	done := s.flights.DoChan(flight, func() (any, error) {
		asked = true
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
		defer cancel()
		return s.claim(ctx, c, p)
	})
	select {
	case <-ctx.Done():
		if s.leave(flight, p, false) {
			go func() {
				<-done
				s.abandon(flight, p, c, holder)
			}()
		}
		return "", fmt.Errorf("asking whether the delivery came before: %w", ctx.Err())
	case got := <-done:
		if s.leave(flight, p, got.Err == nil) {
			go s.abandon(flight, p, c, holder)
		}
		if got.Err != nil {
			return "", got.Err
		}
		result, _ := got.Val.(interceptor.ReplayResult)
		if result == interceptor.ReplayFirst && !asked {
			result = interceptor.ReplaySame
		}
		return result, nil
	}
}

// remembered answers from memory, or returns "".
func (s *Store) remembered(key, holder string) interceptor.ReplayResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, found := s.known[key]
	switch {
	case !found || s.options.Now().After(c.until):
		if s.inFold(key) {
			return interceptor.ReplaySeen
		}
		return ""
	case c.holder == holder:
		return interceptor.ReplaySame
	}
	return interceptor.ReplaySeen
}

// claim creates the Lease, or reads who was faster.
func (s *Store) claim(ctx context.Context, c interceptor.ReplayClaim,
	p *pending) (interceptor.ReplayResult, error) {
	holder := *p.lease.Spec.HolderIdentity
	if err := s.room(c.Namespace); err != nil {
		return "", err
	}
	if seen, err := s.hasFolded(ctx, c.Key); err != nil {
		return "", err
	} else if seen {
		return interceptor.ReplaySeen, nil
	}
	const tries = 4 // each but the first because a Lease expired meanwhile
	for range tries {
		p.sent = true
		err := s.options.Client.Create(ctx, p.lease.DeepCopy())
		if err == nil {
			return s.created(ctx, c, p)
		}
		if !apierrors.IsAlreadyExists(err) {
			return "", fmt.Errorf("noting the delivery in namespace %s: %w", s.options.Namespace, err)
		}
		found, err := s.existing(ctx, c.Key)
		if err != nil {
			return "", err
		}
		if found == nil {
			continue
		}
		s.remember(c.Key, *found, "")
		if found.holder == holder {
			return interceptor.ReplaySame, nil
		}
		return interceptor.ReplaySeen, nil
	}
	return "", fmt.Errorf("noting the delivery in namespace %s: its Lease comes and goes", s.options.Namespace)
}

// created concludes a claim whose Lease did not exist: it never did, or it was folded and
// deleted before the claim, or since the claim looked.
func (s *Store) created(ctx context.Context, c interceptor.ReplayClaim,
	p *pending) (interceptor.ReplayResult, error) {
	seen, err := s.hasFolded(ctx, c.Key)
	switch {
	case err != nil:
		return "", err
	case seen:
		return interceptor.ReplaySeen, s.release(ctx, p.lease)
	}
	s.remember(c.Key, claim{*p.lease.Spec.HolderIdentity, c.Until}, c.Namespace)
	return interceptor.ReplayFirst, nil
}

// existing returns who holds a key, or nil where nobody does any longer.
func (s *Store) existing(ctx context.Context, key string) (*claim, error) {
	lease := &coordinationv1.Lease{}
	err := s.options.Client.Get(ctx, client.ObjectKey{Namespace: s.options.Namespace, Name: prefix + key}, lease)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading whether the delivery came before: %w", err)
	}
	until := expiry(lease)
	if s.options.Now().After(until) {
		return nil, s.remove(ctx, lease)
	}
	held := &claim{until: until}
	if lease.Spec.HolderIdentity != nil {
		held.holder = *lease.Spec.HolderIdentity
	}
	return held, nil
}

func (s *Store) lease(c interceptor.ReplayClaim, holder string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(s.options.Now().Truncate(time.Microsecond)) // as it is stored
	seconds := int32(min(max(c.Until.Sub(now.Time)/time.Second+1, 1), 1<<31-1))
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.options.Namespace, Name: prefix + c.Key,
			Labels: map[string]string{
				"app.kubernetes.io/part-of": "tekgate", "app.kubernetes.io/managed-by": "tekgate",
				wellknown.ReplayNamespace: c.Namespace,
			},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, AcquireTime: &now, LeaseDurationSeconds: &seconds},
	}
}

func expiry(lease *coordinationv1.Lease) time.Time {
	if lease.Spec.AcquireTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return time.Time{} // none of ours
	}
	return lease.Spec.AcquireTime.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second)
}

// holderOf makes something that fits into an object of what may be any bytes.
func holderOf(eventID string) string {
	sum := sha256.Sum256([]byte(eventID))
	return hex.EncodeToString(sum[:])
}

func (s *Store) remember(key string, c claim, created string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) < s.options.Max {
		s.known[key] = c
	}
	if created != "" {
		s.counts[created]++
		s.total++
	}
}

// room returns an error if a namespace can have no more deliveries remembered. The last
// quarter is for namespaces that have less than their share: one whose Triggers are asked
// again and again must not lock out the others.
func (s *Store) room(namespace string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch share := max(1, s.options.Max/(len(s.counts)+1)); {
	case s.counts[namespace] >= s.options.MaxNamespace:
		return fmt.Errorf(
			"%d deliveries of namespace %s are remembered, which is the most: lower interceptor.replay.retention, or raise interceptor.replay.maxPerNamespace",
			s.counts[namespace], namespace)
	case 4*s.total >= 3*s.options.Max && s.total < s.options.Max && s.counts[namespace] >= share:
		return fmt.Errorf(
			"%d deliveries of namespace %s are remembered, which is its share while there is room for few: lower interceptor.replay.retention, or raise interceptor.replay.max",
			s.counts[namespace], namespace)
	case s.total >= s.options.Max:
		return fmt.Errorf(
			"%d deliveries are remembered, which is the most: lower interceptor.replay.retention, or raise interceptor.replay.max",
			s.total)
	}
	return nil
}

// Fill returns how many deliveries are remembered, and which part of their bounds is used:
// of the whole, or of the fullest namespace if that is more.
func (s *Store) Fill() (total int, fill float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fill = float64(s.total) / float64(s.options.Max)
	for _, n := range s.counts {
		fill = max(fill, float64(n)/float64(s.options.MaxNamespace))
	}
	return s.total, fill
}
