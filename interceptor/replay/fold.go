package replay

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/wellknown"
)

const (
	foldAfter = time.Hour // claims that are younger, or expire sooner, stay Leases of their own
	foldLeast = 200       // claims in a fold, so that its metadata is a small part of it
	foldMost  = 1000      // a page of a list has 500 Leases

	maxStale   = 10 * time.Minute // of the list of folds with which a claim is answered
	keepFolded = 30 * time.Minute // before the Leases of folded claims are deleted
)

// digest is the first half of a key.
type digest [16]byte

// recordSize is that of a digest and an expiry in Unix seconds, as a fold holds them.
const recordSize = len(digest{}) + 4

// record is a claim that was folded.
type record struct {
	until time.Time
	in    *fold
}

// fold is a Lease that stands for many claims of one namespace.
type fold struct {
	namespace string
	known     time.Time // since when this replica knows it
	claims    map[digest]time.Time
}

// single is a claim with a Lease of its own.
type single struct {
	digest          digest
	acquired, until time.Time
	lease           *coordinationv1.Lease // with what deleting it takes
}

// digestOf returns false for a key that cannot be folded.
func digestOf(key string) (d digest, ok bool) {
	if len(key) < hex.EncodedLen(len(d)) {
		return d, false
	}
	_, err := hex.Decode(d[:], []byte(key[:hex.EncodedLen(len(d))]))
	return d, err == nil
}

// singleOf describes the Lease of one claim.
func singleOf(lease *coordinationv1.Lease) (single, bool) {
	d, ok := digestOf(strings.TrimPrefix(lease.Name, prefix))
	return single{digest: d, acquired: lease.Spec.AcquireTime.Time, until: expiry(lease), lease: bare(lease)}, ok
}

// bare returns the part of a Lease that deleting it takes.
func bare(lease *coordinationv1.Lease) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: lease.Namespace, Name: lease.Name, UID: lease.UID, ResourceVersion: lease.ResourceVersion,
	}}
}

// readFold reads what foldLease wrote.
func readFold(lease *coordinationv1.Lease, known time.Time) (*fold, error) {
	data, err := base64.StdEncoding.DecodeString(lease.Annotations[wellknown.ReplayDigests])
	if err != nil || len(data) == 0 || len(data)%recordSize != 0 {
		return nil, fmt.Errorf("reading the Lease %s/%s: its annotation %s is damaged: "+
			"delete the Lease, and its deliveries count as new", lease.Namespace, lease.Name, wellknown.ReplayDigests)
	}
	f := &fold{namespace: lease.Labels[wellknown.ReplayNamespace], known: known, claims: map[digest]time.Time{}}
	for one := range slices.Chunk(data, recordSize) {
		d := digest(one[:len(digest{})])
		f.claims[d] = time.Unix(int64(binary.BigEndian.Uint32(one[len(d):])), 0)
	}
	return f, nil
}

// foldLease returns the fold of claims, of which the first is the oldest and gives it its name.
func (s *Store) foldLease(namespace string, claims []single) *coordinationv1.Lease {
	name := fmt.Sprintf("%sfold-%x-%d", prefix, claims[0].digest, claims[0].acquired.Unix())
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b single) int { return bytes.Compare(a.digest[:], b.digest[:]) })
	data := make([]byte, 0, len(claims)*recordSize)
	last := time.Time{}
	for _, c := range claims {
		until := c.until.Add(time.Second - 1) // rounded up
		data = binary.BigEndian.AppendUint32(append(data, c.digest[:]...), uint32(until.Unix()))
		if until.After(last) {
			last = until
		}
	}
	lease := s.lease(interceptor.ReplayClaim{Namespace: namespace, Until: last}, "fold")
	lease.Name = name
	lease.Labels[wellknown.ReplayFold] = "true"
	lease.Annotations = map[string]string{wellknown.ReplayDigests: base64.StdEncoding.EncodeToString(data)}
	return lease
}

// fold writes folds for the claims of one namespace, where there are enough of them.
func (s *Store) fold(ctx context.Context, namespace string, claims []single) error {
	slices.SortFunc(claims, func(a, b single) int {
		if c := a.acquired.Compare(b.acquired); c != 0 {
			return c
		}
		return bytes.Compare(a.digest[:], b.digest[:])
	})
	for len(claims) >= foldLeast {
		n := min(len(claims), foldMost)
		lease := s.foldLease(namespace, claims[:n])
		// Another replica may have been faster.
		if err := s.options.Client.Create(ctx, lease); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("folding deliveries of namespace %s into the Lease %s/%s: %w",
				namespace, lease.Namespace, lease.Name, err)
		}
		claims = claims[n:]
	}
	return nil
}

// hasFolded reports whether a key was folded, of the folds that exist now.
func (s *Store) hasFolded(ctx context.Context, key string) (bool, error) {
	if !s.current() {
		if _, err, _ := s.flights.Do("folds", func() (any, error) { return nil, s.sync(ctx) }); err != nil {
			return false, err
		}
		if !s.current() {
			return false, fmt.Errorf("listing the folded deliveries in namespace %s: the answer came too late",
				s.options.Namespace)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFold(key), nil
}

// inFold reports whether a fold that the store knows has a key. The caller holds s.mu.
func (s *Store) inFold(key string) bool {
	d, ok := digestOf(key)
	r, found := s.folded[d]
	return ok && found && !s.options.Now().After(r.until)
}

// current reports whether the last list of folds is recent enough to answer a claim.
func (s *Store) current() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.listed.IsZero() && s.options.Now().Sub(s.listed) < maxStale
}

// learn takes over a list of all folds. Of those that are known already only the UID matters.
func (s *Store) learn(l *survey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.began.Before(s.listed) {
		return // it may lack folds that a later list has
	}
	s.listed = l.began
	for uid, f := range s.folds {
		if _, found := l.folds[uid]; !found {
			delete(s.folds, uid)
			s.drop(f)
		}
	}
	for uid, f := range l.folds {
		if s.folds[uid] == nil && f != nil {
			s.folds[uid] = f
			s.add(f)
		}
	}
}

func (s *Store) add(f *fold) {
	for d, until := range f.claims {
		if r, found := s.folded[d]; !found || until.After(r.until) {
			s.folded[d] = record{until, f}
		}
	}
	f.claims = nil // they are in s.folded
}

// drop forgets a fold that was deleted, which is when all of its claims have expired.
func (s *Store) drop(f *fold) {
	for d, r := range s.folded {
		if r.in == f {
			delete(s.folded, d)
		}
	}
}

// covered reports whether a claim is folded, and if so whether every replica that answers
// knows its fold.
func (s *Store) covered(c single) (folded, settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, found := s.folded[c.digest]
	// A Lease that expires later is that of a later claim.
	if !found || r.until.Before(c.until) {
		return false, false
	}
	return true, s.options.Now().Sub(r.in.known) >= keepFolded
}
