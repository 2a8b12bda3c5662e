package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/interceptor/secrets"
)

// TestOnAPIServer shares one API server, behind a proxy that counts the reads and
// can be told to break or to hang.
func TestOnAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	api := cluster.Start(t)
	admin, err := client.New(api.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{admin: admin, line: newLine(t, api.Config)}
	t.Run("one read for many", f.testOneRead)
	t.Run("the age is that of the data", f.testAge)
	t.Run("rotation is seen at once by whoever asks", f.testRenew)
	t.Run("rotation is seen soon by everybody", f.testRotation)
	t.Run("forged events do not flood the API server", f.testSpacing)
	t.Run("Trap31 a value serves on while the API server is away", f.testOutage)
	t.Run("a hanging API server holds nobody up", f.testHanging)
	t.Run("forbidden is an outage for what is known", f.testForbidden)
	t.Run("a deleted Secret is gone at once", f.testDeleted)
	t.Run("a missing one is found soon after it is made", f.testMissing)
	t.Run("bounded", f.testBounded)
}

type fixture struct {
	admin client.Client
	line  *line
	count int
}

// line is a way to the API server that can break.
type line struct {
	config *rest.Config
	reads  atomic.Int64
	fail   atomic.Int64 // the status to answer instead; 1 closes the connection, 2 hangs
}

func newLine(t *testing.T, config *rest.Config) *line {
	t.Helper()
	l := &line{}
	to, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	if proxy.Transport, err = rest.TransportFor(config); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/secrets/") {
			l.reads.Add(1)
		}
		switch status := l.fail.Load(); status {
		case 0:
			proxy.ServeHTTP(w, r)
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			<-r.Context().Done()
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(status))
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":%d}`,
				status)
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	l.config = &rest.Config{Host: "http://" + listener.Addr().String(), QPS: -1}
	return l
}

// cache returns a cache over the line, and a Secret that it can read.
func (f *fixture) cache(t *testing.T, o secrets.Options) (*secrets.Cache, *corev1.Secret) {
	t.Helper()
	f.line.fail.Store(0)
	c, err := client.New(f.line.config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.count++
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("hook-%d", f.count)},
		Data:       map[string][]byte{"token": []byte("first")},
	}
	if err := f.admin.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	f.line.reads.Store(0)
	if o.MaxStale == 0 {
		o.MaxStale = time.Minute
	}
	return secrets.New(c, o), secret
}

func (f *fixture) rotate(t *testing.T, secret *corev1.Secret, value string) {
	t.Helper()
	secret.Data = map[string][]byte{"token": []byte(value)}
	if err := f.admin.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

// token returns the value, or the error in words.
func token(t *testing.T, c *secrets.Cache, secret *corev1.Secret) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := c.Get(ctx, secret.Namespace, secret.Name)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(got.Data["token"])
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func (f *fixture) testOneRead(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() { want(t, token(t, c, secret), "first") })
	}
	group.Wait()
	if n := f.line.reads.Load(); n != 1 {
		t.Errorf("200 callers made %d reads", n)
	}
	got, err := c.Get(t.Context(), secret.Namespace, secret.Name)
	if err != nil || got.ResourceVersion != secret.ResourceVersion || time.Since(got.Since) > time.Minute {
		t.Errorf("got version %q of %s, error %v", got.ResourceVersion, got.Since, err)
	}
}

// testAge leaves each write a second of its own, since that is how exactly the API
// server notes when it was.
func (f *fixture) testAge(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	since := func() time.Time {
		t.Helper()
		time.Sleep(1100 * time.Millisecond)
		got, err := c.Renew(t.Context(), secret.Namespace, secret.Name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return got.Since
	}
	made := since()
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`))
	if err := f.admin.Patch(t.Context(), secret, label, client.FieldOwner("labels")); err != nil {
		t.Fatal(err)
	}
	if got := since(); !got.Equal(made) || made.IsZero() {
		t.Errorf("a label makes the data as new as %s, and it was written at %s", got, made)
	}
	data := client.RawPatch(types.MergePatchType, []byte(`{"data":{"token":"c2Vjb25k"}}`))
	if err := f.admin.Patch(t.Context(), secret, data, client.FieldOwner("data")); err != nil {
		t.Fatal(err)
	}
	second := since()
	if !second.After(made) {
		t.Errorf("the data was written again after %s, and is said to be of %s", made, second)
	}
	apply := corev1ac.Secret(secret.Name, secret.Namespace).WithStringData(map[string]string{"token": "third"})
	if err := f.admin.Apply(t.Context(), apply, client.FieldOwner("applies"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
	if third := since(); !third.After(second) {
		t.Errorf("the data was applied after %s, and is said to be of %s", second, third)
	}
}

func (f *fixture) testRenew(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	want(t, token(t, c, secret), "first")
	for i := range 10 {
		value := fmt.Sprintf("value %d", i)
		f.rotate(t, secret, value)
		got, err := c.Renew(t.Context(), secret.Namespace, secret.Name, time.Now())
		if err != nil || string(got.Data["token"]) != value {
			t.Fatalf("got %v, error %v; want %q", got, err, value)
		}
	}
}

func (f *fixture) testRotation(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	want(t, token(t, c, secret), "first")
	f.rotate(t, secret, "second")
	began := time.Now()
	for token(t, c, secret) != "second" {
		if time.Since(began) > 5*time.Second {
			t.Fatal("the new value is not there after five seconds")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (f *fixture) testSpacing(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	var group sync.WaitGroup
	end := time.Now().Add(time.Second)
	for range 50 {
		group.Go(func() {
			for time.Now().Before(end) {
				if _, err := c.Renew(t.Context(), secret.Namespace, secret.Name, time.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := f.line.reads.Load(); n > 8 {
		t.Errorf("%d reads within a second or two", n)
	}
}

func (f *fixture) testOutage(t *testing.T) {
	var now atomic.Pointer[time.Time]
	set := func(at time.Time) { now.Store(&at) }
	start := time.Now()
	set(start)
	var stale, failed atomic.Int64
	c, secret := f.cache(t, secrets.Options{
		MaxStale: 10 * time.Minute, Now: func() time.Time { return *now.Load() },
		Report: func(o secrets.Outcome) {
			switch o {
			case secrets.Stale:
				stale.Add(1)
			case secrets.Failed:
				failed.Add(1)
			}
		},
	})
	want(t, token(t, c, secret), "first")
	f.line.fail.Store(1)
	set(start.Add(9 * time.Minute))
	want(t, token(t, c, secret), "first")
	want(t, token(t, c, secret), "first")
	if stale.Load() != 2 || failed.Load() != 0 {
		t.Errorf("%d stale and %d failed, want 2 and 0", stale.Load(), failed.Load())
	}
	c.SetMaxStale(12 * time.Minute)
	set(start.Add(11 * time.Minute))
	want(t, token(t, c, secret), "first")
	c.SetMaxStale(10 * time.Minute)
	if got := token(t, c, secret); got == "first" || failed.Load() != 1 {
		t.Errorf("got %q after the bound, %d failed", got, failed.Load())
	}
	f.line.fail.Store(0)
	set(start.Add(12 * time.Minute))
	want(t, token(t, c, secret), "first")
}

func (f *fixture) testHanging(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	want(t, token(t, c, secret), "first")
	f.line.fail.Store(2)
	time.Sleep(2100 * time.Millisecond)
	began := time.Now()
	want(t, token(t, c, secret), "first")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	began = time.Now()
	for range 10 {
		want(t, token(t, c, secret), "first")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the next ten took %s, and the read hangs already", took)
	}
}

func (f *fixture) testForbidden(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	want(t, token(t, c, secret), "first")
	f.line.fail.Store(http.StatusForbidden)
	got, err := c.Renew(t.Context(), secret.Namespace, secret.Name, time.Now())
	if err != nil || string(got.Data["token"]) != "first" {
		t.Errorf("got %v, error %v", got, err)
	}
	if _, err := c.Get(t.Context(), "default", "never-read"); !apierrors.IsForbidden(err) {
		t.Errorf("got %v for a Secret that was never read", err)
	}
}

func (f *fixture) testDeleted(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	want(t, token(t, c, secret), "first")
	if err := f.admin.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Renew(t.Context(), secret.Namespace, secret.Name, time.Now()); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
	f.line.fail.Store(1) // nothing is left to serve on
	time.Sleep(1100 * time.Millisecond)
	if got := token(t, c, secret); got == "first" {
		t.Error("a deleted Secret came back in an outage")
	}
}

func (f *fixture) testMissing(t *testing.T) {
	c, _ := f.cache(t, secrets.Options{})
	for range 10 {
		if _, err := c.Get(t.Context(), "default", "late"); !apierrors.IsNotFound(err) {
			t.Fatalf("got %v", err)
		}
	}
	if n := f.line.reads.Load(); n != 1 {
		t.Errorf("%d reads of a Secret that is not there", n)
	}
	late := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "late"},
		Data: map[string][]byte{"token": []byte("x")}}
	if err := f.admin.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond)
	want(t, token(t, c, late), "x")
}

func (f *fixture) testBounded(t *testing.T) {
	c, secret := f.cache(t, secrets.Options{})
	want(t, token(t, c, secret), "first")
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 200 {
				_, err := c.Get(t.Context(), "default", fmt.Sprintf("made-up-%d-%d", worker, i))
				if !apierrors.IsNotFound(err) && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if n := c.Len(); n > 1024 {
		t.Errorf("%d Secrets are remembered", n)
	}
	f.line.fail.Store(1)
	time.Sleep(2100 * time.Millisecond)
	want(t, token(t, c, secret), "first") // made-up names pushed nothing out that has a value
}
