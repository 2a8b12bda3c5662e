package replay_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/replay"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// clock is one that a test sets forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration)  { c.ahead.Add(int64(d)) }
func (c *clock) option(o *replay.Options) { o.Now = c.now }

func many(o *replay.Options) { o.Max, o.MaxNamespace = 5000, 5000 }

func sweep(t *testing.T, s *replay.Store) {
	t.Helper()
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// hashed is a claim for eight hours with a key as real ones are.
func hashed(n int, event string) interceptor.ReplayClaim {
	sum := sha256.Sum256([]byte(fmt.Sprint(n)))
	return interceptor.ReplayClaim{
		Namespace: "ci", Key: hex.EncodeToString(sum[:]), EventID: event, Until: time.Now().Add(8 * time.Hour),
	}
}

// fill claims the keys 0 to n-1.
func fill(t *testing.T, s *replay.Store, n int) {
	t.Helper()
	var group sync.WaitGroup
	for part := range 4 {
		group.Go(func() {
			for i := part; i < n; i += 4 {
				expect(t, s, hashed(i, "one"), interceptor.ReplayFirst)
			}
		})
	}
	group.Wait()
}

// folds returns the names of the folds of a namespace, and how many other Leases it has.
func (s *site) folds(t *testing.T, namespace string) (folds []string, others int) {
	t.Helper()
	for _, lease := range s.leases(t, namespace) {
		if _, ok := lease.Labels[wellknown.ReplayFold]; ok {
			folds = append(folds, lease.Name)
		} else {
			others++
		}
	}
	return folds, others
}

// fold has a replica fold all claims, two hours later, and delete their Leases, half an hour
// after that.
func (s *site) fold(t *testing.T, namespace string, edit ...func(*replay.Options)) {
	t.Helper()
	c := &clock{}
	store := s.store(namespace, append(edit, c.option, many)...)
	c.forward(2 * time.Hour)
	_, before := s.folds(t, namespace)
	sweep(t, store)
	sweep(t, store) // learns the folds
	c.forward(29 * time.Minute)
	sweep(t, store)
	folds, others := s.folds(t, namespace)
	if len(folds) == 0 || others != before {
		t.Fatalf("%d claims have %d folds and %d Leases before all replicas know the folds",
			before, len(folds), others)
	}
	c.forward(2 * time.Minute)
	sweep(t, store)
	if _, others = s.folds(t, namespace); others != 0 {
		t.Fatalf("%d Leases of claims that are folded are still there", others)
	}
}

// installed gives the server the interceptor's rights and policies as they are shipped, and
// returns a client with its identity.
func (s *site) installed(t *testing.T) client.Client {
	t.Helper()
	for _, name := range []string{"100-namespace", "200-interceptor-rbac", "210-identities"} {
		file, err := os.Open("../../manifests/tekgate/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		objects, err := release.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, obj := range objects {
			if err := s.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
		}
	}
	config := rest.CopyConfig(s.config)
	config.Impersonate.UserName = "system:serviceaccount:tekgate:tekgate-interceptor"
	own, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.awaitPolicy(t, own)
	return own
}

// awaitPolicy waits until the API server enforces the policy about Leases.
func (s *site) awaitPolicy(t *testing.T, own client.Client) {
	t.Helper()
	other := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.DeliveriesNamespace, Name: "other"},
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := own.Create(t.Context(), other.DeepCopy(), client.DryRunAll)
		if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the policy is not enforced: %v", err)
		}
	}
}

// testFold runs with the rights and policies of the interceptor as they are installed.
func (s *site) testFold(t *testing.T) {
	const n = 250
	namespace, own := wellknown.DeliveriesNamespace, s.installed(t)
	identity := func(o *replay.Options) { o.Client = own }
	knows := s.store(namespace, identity, many)
	fill(t, knows, n)
	sweep(t, s.store(namespace, identity, many))
	if folds, others := s.folds(t, namespace); len(folds) != 0 || others != n {
		t.Fatalf("claims that are young have %d folds and %d Leases", len(folds), others)
	}
	c := &clock{}
	lists := s.store(namespace, identity, many, c.option) // before there are folds
	expect(t, lists, hashed(n, "one"), interceptor.ReplayFirst)
	s.fold(t, namespace, identity)
	c.forward(31 * time.Minute)

	restarted := s.store(namespace, identity, many)
	for i := range n {
		expect(t, restarted, hashed(i, "two"), interceptor.ReplaySeen)
	}
	expect(t, lists, hashed(0, "two"), interceptor.ReplaySeen)
	expect(t, knows, hashed(1, "two"), interceptor.ReplaySeen)
	expect(t, restarted, hashed(n+1, "two"), interceptor.ReplayFirst)
	sweep(t, restarted)
	if total, _ := restarted.Fill(); total != n+2 {
		t.Errorf("%d deliveries are remembered, want %d", total, n+2)
	}
	if _, others := s.folds(t, namespace); others != 1 {
		t.Errorf("%d Leases, want that of the delivery that is new", others)
	}
}

// between does something before a request is sent.
type between struct {
	client.Client
	create, list func() error
}

func (b between) Create(ctx context.Context, obj client.Object, o ...client.CreateOption) error {
	if b.create != nil {
		if err := b.create(); err != nil {
			return err
		}
	}
	return b.Client.Create(ctx, obj, o...)
}

func (b between) List(ctx context.Context, list client.ObjectList, o ...client.ListOption) error {
	if b.list != nil {
		if err := b.list(); err != nil {
			return err
		}
	}
	return b.Client.List(ctx, list, o...)
}

// testFoldInClaim deletes the Lease of a folded claim after another claim has found that no
// fold has the key, and before it creates its Lease.
func (s *site) testFoldInClaim(t *testing.T) {
	namespace := s.namespace(t)
	fill(t, s.store(namespace, many), 250)
	c := &clock{}
	c.forward(2 * time.Hour)
	var victim *coordinationv1.Lease
	store := s.store(namespace, many, c.option, func(o *replay.Options) {
		o.Client = between{Client: s, create: func() error {
			if victim == nil {
				return nil
			}
			c.forward(31 * time.Minute) // as long as the Lease is kept
			return s.Delete(t.Context(), victim)
		}}
	})
	expect(t, store, hashed(1000, "two"), interceptor.ReplayFirst) // lists the folds, of which there are none
	sweep(t, s.store(namespace, many, c.option))
	claim := hashed(0, "two")
	victim = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "replay-" + claim.Key}}
	expect(t, store, claim, interceptor.ReplaySeen)
	err := s.Get(t.Context(), client.ObjectKeyFromObject(victim), victim)
	if !apierrors.IsNotFound(err) {
		t.Errorf("the Lease of a claim that was refused: error %v", err)
	}
}

// testFoldRace claims again from two replicas while a third one folds and deletes.
func (s *site) testFoldRace(t *testing.T) {
	const n = 250
	namespace, c := s.namespace(t), &clock{}
	fill(t, s.store(namespace, many), n)
	c.forward(2 * time.Hour)
	done := make(chan struct{})
	var group sync.WaitGroup
	var seen, errs atomic.Int64
	for replica := range 2 {
		group.Go(func() {
			for turn := 0; ; turn++ {
				store := s.store(namespace, many, c.option)
				for i := range n {
					select {
					case <-done:
						return
					default:
					}
					switch got, err := store.Claim(t.Context(), hashed(i, fmt.Sprint(replica, turn))); {
					case err != nil:
						errs.Add(1) // it is refused, and may be sent again
					case got == interceptor.ReplaySeen:
						seen.Add(1)
					default:
						t.Errorf("key %d, turn %d: got %q", i, turn, got)
					}
				}
			}
		})
	}
	folder := s.store(namespace, many, c.option)
	for range 15 {
		sweep(t, folder)
		c.forward(3 * time.Minute)
		time.Sleep(100 * time.Millisecond)
	}
	close(done)
	group.Wait()
	folds, others := s.folds(t, namespace)
	if len(folds) != 1 || others != 0 || seen.Load() < n || errs.Load() > n/2 {
		t.Errorf("%d folds, %d Leases, %d times refused as replays, %d for errors",
			len(folds), others, seen.Load(), errs.Load())
	}
}

func (s *site) testFoldExpires(t *testing.T) {
	namespace, c := s.namespace(t), &clock{}
	fill(t, s.store(namespace, many), 250)
	s.fold(t, namespace)
	c.forward(8*time.Hour - 10*time.Minute)
	store := s.store(namespace, many, c.option)
	expect(t, store, hashed(0, "two"), interceptor.ReplaySeen)
	c.forward(11 * time.Minute)
	again := hashed(0, "three")
	again.Until = c.now().Add(8 * time.Hour)
	expect(t, store, again, interceptor.ReplayFirst)
	again.EventID = "four"
	expect(t, s.store(namespace, many, c.option), again, interceptor.ReplaySeen)
	c.forward(2 * time.Minute)
	sweep(t, store)
	if folds, others := s.folds(t, namespace); len(folds) != 0 || others != 1 {
		t.Errorf("%d folds and %d Leases are left of one claim", len(folds), others)
	}
	if total, _ := store.Fill(); total != 1 {
		t.Errorf("%d deliveries are remembered, want 1", total)
	}
}

func (s *site) testFoldsCount(t *testing.T) {
	const n = 250
	namespace := s.namespace(t)
	fill(t, s.store(namespace, many), n)
	s.fold(t, namespace)
	store := s.store(namespace, func(o *replay.Options) { o.Max, o.MaxNamespace = 2*n, n })
	sweep(t, store)
	if total, fill := store.Fill(); total != n || fill != 1 {
		t.Errorf("%d deliveries are remembered, fill %v", total, fill)
	}
	_, err := store.Claim(t.Context(), hashed(n, "one"))
	if err == nil || !strings.Contains(err.Error(), "maxPerNamespace") {
		t.Errorf("one more than the bound: error %v", err)
	}
	expect(t, store, hashed(0, "two"), interceptor.ReplaySeen)
	other := hashed(n, "one")
	other.Namespace = "other"
	expect(t, store, other, interceptor.ReplayFirst)
}

func (s *site) testTwoFold(t *testing.T) {
	const n = 250
	namespace, c := s.namespace(t), &clock{}
	fill(t, s.store(namespace, many), n)
	c.forward(2 * time.Hour)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if err := s.store(namespace, many, c.option).Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	store := s.store(namespace, many, c.option)
	sweep(t, store)
	total, _ := store.Fill()
	if folds, others := s.folds(t, namespace); len(folds) != 1 || others != n || total != n {
		t.Errorf("%d claims have %d folds and %d Leases and count as %d", n, len(folds), others, total)
	}
}

// testUnlisted holds that a claim fails while it is unknown which keys are folded.
func (s *site) testUnlisted(t *testing.T) {
	namespace := s.namespace(t)
	store := s.store(namespace, func(o *replay.Options) {
		o.Client = between{Client: s, list: func() error { return errors.New("no list") }}
	})
	if got, err := store.Claim(t.Context(), hashed(0, "one")); err == nil || got != "" {
		t.Errorf("got %q, error %v", got, err)
	}
	if n := len(s.leases(t, namespace)); n != 0 {
		t.Errorf("%d Leases of a claim that failed", n)
	}
}

func (s *site) testDamagedFold(t *testing.T) {
	namespace, seconds, now := s.namespace(t), int32(3600), metav1.NowMicro()
	damaged := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "replay-fold-0",
			Labels:      map[string]string{wellknown.ReplayNamespace: "ci", wellknown.ReplayFold: "true"},
			Annotations: map[string]string{wellknown.ReplayDigests: "AAAA"}},
		Spec: coordinationv1.LeaseSpec{AcquireTime: &now, LeaseDurationSeconds: &seconds},
	}
	if err := s.Create(t.Context(), damaged); err != nil {
		t.Fatal(err)
	}
	store := s.store(namespace)
	_, err := store.Claim(t.Context(), hashed(0, "one"))
	if err == nil || !strings.Contains(err.Error(), "delete the Lease") {
		t.Errorf("error %v", err)
	}
	if err := s.Delete(t.Context(), damaged); err != nil {
		t.Fatal(err)
	}
	expect(t, store, hashed(0, "one"), interceptor.ReplayFirst)
}

// testSize measures what a delivery takes: as the API server stores it, as clients read it,
// and listing all.
func (s *site) testSize(t *testing.T) {
	const n = 1000
	namespace := s.namespace(t)
	fill(t, s.store(namespace, many), n)
	stored, before := s.measure(t, "before folding", namespace, n)
	s.fold(t, namespace)
	storedAfter, after := s.measure(t, "after folding", namespace, n)
	if storedAfter > 40*n || storedAfter*10 > stored || after*10 > before {
		t.Errorf("%d bytes stored became %d, and %d read became %d", stored, storedAfter, before, after)
	}
}

// measure lists the Leases of a namespace as etcd has them, in protobuf, and in JSON.
func (s *site) measure(t *testing.T, what, namespace string, n int) (stored, read int) {
	t.Helper()
	c, err := rest.HTTPClientFor(s.config)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSuffix(s.config.Host, "/") +
		"/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases"
	get := func(accept string) (size int, took time.Duration) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		req.Header.Set("Accept-Encoding", "identity")
		began := time.Now()
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s, error %v", res.Status, err)
		}
		return len(body), time.Since(began)
	}
	read, took := get("application/json")
	stored, _ = get("application/vnd.kubernetes.protobuf")
	t.Logf("%s: %.1f bytes of a delivery in etcd, %.1f in JSON; all %d are listed in %v", what,
		float64(stored)/float64(n), float64(read)/float64(n), n, took.Round(time.Millisecond/10))
	return stored, read
}
