package replay_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/replay"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// TestOnAPIServer shares one API server.
func TestOnAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	api := cluster.Start(t)
	config := rest.CopyConfig(api.Config)
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Client: c, config: config}
	t.Run("one event of two, in two replicas", s.testTwoReplicas)
	t.Run("Trap07 triggers of one event are no replay", s.testSameEvent)
	t.Run("a race has one winner", s.testRace)
	t.Run("expired", s.testExpired)
	t.Run("swept", s.testSweep)
	t.Run("bounded", s.testBounded)
	t.Run("others' Leases are left alone", s.testOthers)
	t.Run("an event id of any bytes", s.testOddEventID)
	t.Run("API server away", s.testAway)
	t.Run("fair", s.testFair)
	t.Run("a lost answer is no claim", s.testLostAnswer)
	t.Run("folded", s.testFold)
	t.Run("folded in the middle of a claim", s.testFoldInClaim)
	t.Run("claims race with folding", s.testFoldRace)
	t.Run("folds expire", s.testFoldExpires)
	t.Run("folds count", s.testFoldsCount)
	t.Run("two replicas fold", s.testTwoFold)
	t.Run("folds cannot be listed", s.testUnlisted)
	t.Run("a damaged fold", s.testDamagedFold)
	t.Run("size", s.testSize)
}

type site struct {
	client.Client
	config *rest.Config
	count  atomic.Int64
}

// namespace makes one for a test.
func (s *site) namespace(t *testing.T) string {
	t.Helper()
	name := fmt.Sprint("replay-", s.count.Add(1))
	if err := s.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *site) store(namespace string, edit ...func(*replay.Options)) *replay.Store {
	o := replay.Options{Client: s, Namespace: namespace, Max: 1000, MaxNamespace: 100}
	for _, e := range edit {
		e(&o)
	}
	return replay.New(o)
}

func key(n int) string { return fmt.Sprintf("%064x", n) }

func claim(n int, event string) interceptor.ReplayClaim {
	return interceptor.ReplayClaim{Namespace: "ci", Key: key(n), EventID: event, Until: time.Now().Add(time.Hour)}
}

func expect(t *testing.T, s *replay.Store, c interceptor.ReplayClaim, want interceptor.ReplayResult) {
	t.Helper()
	got, err := s.Claim(t.Context(), c)
	if got != want || err != nil {
		t.Errorf("key %s, event %q: got %q, error %v; want %q", strings.TrimLeft(c.Key, "0"), c.EventID, got, err, want)
	}
}

func (s *site) leases(t *testing.T, namespace string) []coordinationv1.Lease {
	t.Helper()
	list := &coordinationv1.LeaseList{}
	if err := s.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func (s *site) testTwoReplicas(t *testing.T) {
	namespace := s.namespace(t)
	a, b := s.store(namespace), s.store(namespace)
	expect(t, a, claim(1, "one"), interceptor.ReplayFirst)
	expect(t, b, claim(1, "two"), interceptor.ReplaySeen)
	expect(t, b, claim(1, "two"), interceptor.ReplaySeen) // from memory
	expect(t, a, claim(1, "two"), interceptor.ReplaySeen)
	expect(t, b, claim(2, "two"), interceptor.ReplayFirst)
	expect(t, s.store(namespace), claim(2, "three"), interceptor.ReplaySeen) // a replica that starts later
	if list := s.leases(t, namespace); len(list) != 2 || list[0].Labels[wellknown.ReplayNamespace] != "ci" {
		t.Errorf("got %v", list)
	}
}

func (s *site) testSameEvent(t *testing.T) {
	namespace := s.namespace(t)
	a, b := s.store(namespace), s.store(namespace)
	expect(t, a, claim(1, "one"), interceptor.ReplayFirst)
	expect(t, a, claim(1, "one"), interceptor.ReplaySame)
	expect(t, b, claim(1, "one"), interceptor.ReplaySame)
}

func (s *site) testRace(t *testing.T) {
	namespace := s.namespace(t)
	stores := []*replay.Store{s.store(namespace), s.store(namespace), s.store(namespace)}
	var mu sync.Mutex
	results := map[string]map[interceptor.ReplayResult]int{}
	var group sync.WaitGroup
	for i, store := range stores {
		event := fmt.Sprint("event-", i)
		results[event] = map[interceptor.ReplayResult]int{}
		for range 8 {
			group.Go(func() {
				got, err := store.Claim(t.Context(), claim(1, event))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				results[event][got]++
			})
		}
	}
	group.Wait()
	winners := 0
	for event, counts := range results {
		first, same, seen := counts[interceptor.ReplayFirst], counts[interceptor.ReplaySame],
			counts[interceptor.ReplaySeen]
		switch {
		case first == 1 && same == 7:
			winners++
		case seen != 8:
			t.Errorf("%s: %v: its triggers do not agree", event, counts)
		}
	}
	if winners != 1 {
		t.Errorf("%d events came first: %v", winners, results)
	}
}

func (s *site) testExpired(t *testing.T) {
	namespace := s.namespace(t)
	short := claim(1, "one")
	short.Until = time.Now()
	expect(t, s.store(namespace), short, interceptor.ReplayFirst)
	later := func(o *replay.Options) { o.Now = func() time.Time { return time.Now().Add(10 * time.Second) } }
	expect(t, s.store(namespace, later), claim(1, "two"), interceptor.ReplayFirst)
	expect(t, s.store(namespace), claim(1, "three"), interceptor.ReplaySeen)
}

func (s *site) testSweep(t *testing.T) {
	namespace := s.namespace(t)
	store := s.store(namespace, func(o *replay.Options) { o.Max, o.MaxNamespace = 2000, 2000 })
	for i := range 10 {
		c := claim(i, "one")
		if i%2 == 0 {
			c.Until = time.Now().Add(time.Second)
		}
		expect(t, store, c, interceptor.ReplayFirst)
	}
	if err := store.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.leases(t, namespace)); n != 10 {
		t.Errorf("%d of 10 are left, and none has expired for long", n)
	}
	late := s.store(namespace,
		func(o *replay.Options) { o.Now = func() time.Time { return time.Now().Add(5 * time.Minute) } })
	if err := late.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.leases(t, namespace)); n != 5 {
		t.Errorf("%d are left, want the 5 that have not expired", n)
	}
}

func (s *site) testBounded(t *testing.T) {
	namespace := s.namespace(t)
	small := func(o *replay.Options) { o.Max, o.MaxNamespace = 5, 3 }
	store := s.store(namespace, small)
	for i := range 3 {
		expect(t, store, claim(i, "one"), interceptor.ReplayFirst)
	}
	if _, err := store.Claim(t.Context(), claim(3, "one")); err == nil ||
		!strings.Contains(err.Error(), "maxPerNamespace") {
		t.Errorf("the fourth of a namespace: got %v", err)
	}
	expect(t, store, claim(2, "two"), interceptor.ReplaySeen) // those that are known still are
	other := claim(10, "one")
	for i, want := range []bool{true, true, false} {
		other.Namespace, other.Key = fmt.Sprint("ns-", i), key(10+i)
		if _, err := store.Claim(t.Context(), other); (err == nil) != want {
			t.Errorf("number %d: got %v", 4+i, err)
		}
	}
	fresh := s.store(namespace, small)
	if err := fresh.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Claim(t.Context(), claim(3, "one")); err == nil {
		t.Error("a replica that starts later counts from nought")
	}
	fresh.SetBounds(10, 4)
	expect(t, fresh, claim(3, "one"), interceptor.ReplayFirst)
	fresh.SetBounds(10, 3)
	if _, err := fresh.Claim(t.Context(), claim(4, "one")); err == nil {
		t.Error("a bound that was lowered does not hold")
	}
}

// testFair holds that a namespace that is asked again and again leaves room for others.
func (s *site) testFair(t *testing.T) {
	store := s.store(s.namespace(t), func(o *replay.Options) { o.Max, o.MaxNamespace = 8, 8 })
	n := 0
	for ; n < 8; n++ {
		if _, err := store.Claim(t.Context(), claim(n, "one")); err != nil {
			break
		}
	}
	if total, fill := store.Fill(); n != 6 || total != n || fill != 0.75 {
		t.Errorf("one namespace has %d of %d, fill %v", n, total, fill)
	}
	for i := range 2 {
		other := claim(100+i, "one")
		other.Namespace = "other"
		expect(t, store, other, interceptor.ReplayFirst)
	}
}

// testLostAnswer claims through a proxy that passes requests on and keeps the answers back:
// the event is refused, and is no replay when it is sent again.
func (s *site) testLostAnswer(t *testing.T) {
	namespace := s.namespace(t)
	to, err := url.Parse(s.config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	if proxy.Transport, err = rest.TransportFor(s.config); err != nil {
		t.Fatal(err)
	}
	proxy.ModifyResponse = func(res *http.Response) error {
		if res.Request.Method == http.MethodPost {
			<-res.Request.Context().Done()
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	defer server.Close()
	c, err := client.New(&rest.Config{Host: server.URL, QPS: -1}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store := s.store(namespace, func(o *replay.Options) { o.Client, o.Log = c, logr.Discard() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := store.Claim(ctx, claim(1, "one")); err == nil {
		t.Fatal("the claim was answered")
	}
	for began := time.Now(); len(s.leases(t, namespace)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatal("the Lease of the claim that nobody got an answer to is still there")
		}
	}
	expect(t, s.store(namespace), claim(1, "two"), interceptor.ReplayFirst)
}

func (s *site) testOthers(t *testing.T) {
	namespace := s.namespace(t)
	holder := "somebody"
	other := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "leader"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}
	if err := s.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	late := s.store(namespace,
		func(o *replay.Options) { o.Now = func() time.Time { return time.Now().Add(time.Hour) } })
	if err := late.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.leases(t, namespace)) != 1 {
		t.Error("a Lease of somebody else was deleted")
	}
}

func (s *site) testOddEventID(t *testing.T) {
	namespace := s.namespace(t)
	store := s.store(namespace)
	odd := "\xff\x00\n" + strings.Repeat("x", 100)
	expect(t, store, claim(1, odd), interceptor.ReplayFirst)
	expect(t, s.store(namespace), claim(1, odd), interceptor.ReplaySame)
	expect(t, s.store(namespace), claim(1, ""), interceptor.ReplaySeen)
}

func (s *site) testAway(t *testing.T) {
	c, err := client.New(&rest.Config{Host: "http://127.0.0.1:1"}, client.Options{})
	if err != nil {
		t.Skip("the client needs the server already") // its mapper is lazy, so it does not
	}
	store := replay.New(replay.Options{Client: c, Namespace: "default", Max: 10, MaxNamespace: 10})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if got, err := store.Claim(ctx, claim(1, "one")); err == nil || got != "" {
		t.Errorf("got %q and no error: nothing is known", got)
	}
}
