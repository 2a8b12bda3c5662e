package callers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/callers"
)

// site is an API server with Triggers' kinds, and a way to it that can break.
type site struct {
	admin client.Client
	api   callers.API // with the rights of the manifests and no others

	reads atomic.Int64
	away  atomic.Bool

	mu  sync.Mutex
	now time.Duration // by which the clock is ahead
}

// TestOnAPIServer shares one API server.
func TestOnAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	s := newSite(t)
	t.Run("who is known", s.testKnown)
	t.Run("params are compared by meaning", s.testMeaning)
	t.Run("edits lose no event", s.testEdited)
	t.Run("a new trigger is known at once", s.testCreated)
	t.Run("a deleted trigger is forgotten", s.testDeleted)
	t.Run("what is known passes while the API server is away", s.testAway)
	t.Run("made-up requests do not flood the API server", s.testSpacing)
	t.Run("bounded", s.testBounded)
}

func newSite(t *testing.T) *site {
	t.Helper()
	api := cluster.Start(t)
	admin, err := client.New(api.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{admin: admin}
	for _, name := range []string{"tekgate", "tekgate-deliveries", "ci"} {
		s.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for _, kind := range []string{"trigger", "eventlistener"} {
		s.applyFile(t, filepath.Join(triggersModule(t), "config", "300-"+kind+".yaml"))
	}
	s.applyFile(t, filepath.Join("..", "..", "manifests", "tekgate", "200-interceptor-rbac.yaml"))
	config := rest.CopyConfig(api.Config)
	config.QPS = -1
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:tekgate:tekgate-interceptor"}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return line{s, next} })
	if s.api, err = callers.Connect(config); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, func() error { // kinds are served, and rights known, with a delay
		_, err := s.api.Get().Namespace("ci").Resource("eventlisteners").DoRaw(t.Context())
		return err
	})
	return s
}

// line is a way to the API server.
type line struct {
	*site
	next http.RoundTripper
}

func (l line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.reads.Add(1)
	if l.away.Load() {
		return nil, errors.New("connection refused")
	}
	return l.next.RoundTrip(r)
}

func triggersModule(t *testing.T) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/tektoncd/triggers").Output()
	if err != nil {
		t.Fatalf("finding the module of Triggers: %v", err)
	}
	return strings.TrimSpace(string(dir))
}

func (s *site) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := s.admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func (s *site) applyFile(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, string(text))
}

func (s *site) apply(t *testing.T, text string) {
	t.Helper()
	for document := range strings.SplitSeq(text, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := s.admin.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("test"),
			client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *site) eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// cache returns an empty one, whose clock is the site's.
func (s *site) cache() *callers.Cache {
	return callers.New(s.api, callers.Options{MaxStale: 10 * time.Minute, Now: func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return time.Now().Add(s.now)
	}})
}

// pass lets time pass.
func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += d
}

func digest(t *testing.T, params string) interceptor.ParamsDigest {
	t.Helper()
	d, err := interceptor.DigestParams([]byte(params))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func check(t *testing.T, c *callers.Cache, id, params string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return c.Check(ctx, id, digest(t, params))
}

// expect says who is known, and that others are refused because they are not.
func expect(t *testing.T, c *callers.Cache, id, params string, known bool) {
	t.Helper()
	switch err := check(t, c, id, params); {
	case known && err != nil:
		t.Errorf("%s with %s: %v", id, params, err)
	case !known && !errors.Is(err, interceptor.ErrUnknownCaller):
		t.Errorf("%s with %s: got %v, want one that says that it is unknown", id, params, err)
	}
}

// secretOf are params that name a Secret.
func secretOf(name string) string {
	return `{"provider":"github","secretRef":{"secretName":"` + name + `","secretKey":"token"}}`
}

// asks is an interceptor with the params of secretOf.
func asks(name string) string {
	return `{ref: {name: tekgate}, params: [{name: provider, value: github}, {name: secretRef, value: {secretName: ` +
		name + `, secretKey: token}}]}`
}

func triggerOf(name string, interceptors ...string) string {
	return "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: " + name + ", namespace: ci}\n" +
		"spec: {template: {ref: t}, interceptors: [" + strings.Join(interceptors, ", ") + "]}"
}

func (s *site) testKnown(t *testing.T) {
	s.apply(t, triggerOf("build", `{ref: {name: cel}, params: [{name: filter, value: "true"}]}`, asks("of-trigger"))+`
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: forges, namespace: ci}
spec:
  serviceAccountName: forges
  triggers:
  - {name: inline, interceptors: [`+asks("of-inline")+`], template: {ref: t}}
  - {name: build, interceptors: [`+asks("same-name")+`], template: {ref: t}}
  - {interceptors: [`+asks("of-unnamed")+`], template: {ref: t}}
  - {triggerRef: elsewhere, name: referring, interceptors: [`+asks("ignored")+`]}
  triggerGroups:
  - name: group
    interceptors: [`+asks("of-group")+`]
    triggerSelector: {labelSelector: {matchLabels: {a: b}}}`)
	for i := range 12 { // more than a page
		s.apply(t, fmt.Sprintf(`
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: many-%d, namespace: ci}
spec: {triggers: [{name: many-%d, interceptors: [`+asks("many")+`], template: {ref: t}}]}`, i, i))
	}
	tests := []struct {
		id, secret string
		known      bool
	}{
		{"namespaces/ci/triggers/build", "of-trigger", true},
		{"namespaces/ci/triggers/build", "same-name", true},
		{"namespaces/ci/triggers/inline", "of-inline", true},
		{"namespaces/ci/triggers/many-0", "many", true},
		{"namespaces/ci/triggers/many-11", "many", true},
		{"namespaces/ci/triggers/", "of-unnamed", true},
		{"namespaces/ci/triggerGroups/group", "of-group", true},
		{"namespaces/ci/triggers/build", "made-up", false},
		{"namespaces/ci/triggers/inline", "of-trigger", false},
		{"namespaces/ci/triggers/absent", "of-trigger", false},
		{"namespaces/ci/triggers/group", "of-group", false},
		{"namespaces/ci/triggerGroups/build", "of-trigger", false},
		{"namespaces/ci/triggers/referring", "ignored", false},
		{"namespaces/ci/triggers/No Object's Name", "of-trigger", false},
		{"namespaces/ci/triggers/..", "of-trigger", false},
		{"namespaces/default/triggers/build", "of-trigger", false},
		{"namespaces/absent/triggers/build", "of-trigger", false},
	}
	c := s.cache()
	for range 2 {
		for _, tt := range tests {
			expect(t, c, tt.id, secretOf(tt.secret), tt.known)
		}
	}
}

func (s *site) testMeaning(t *testing.T) {
	s.apply(t, triggerOf("meaning", `{ref: {name: tekgate}, params: [{name: provider, value: github}, `+
		`{name: paths, value: ["<a>", "é"]}, {name: number, value: 9007199254740991}]}`)+"\n---\n"+
		triggerOf("empty", `{ref: {name: tekgate}}`))
	const id = "namespaces/ci/triggers/meaning"
	c := s.cache()
	expect(t, c, id, `{"provider":"github","paths":["<a>","é"],"number":9007199254740991}`, true)
	expect(t, c, id, `{ "number":9007199254740991, "paths": ["\u003ca\u003e","\u00e9"],"provider":"github" }`, true)
	expect(t, c, id, `{"provider":"github","paths":["é","<a>"],"number":9007199254740991}`, false)
	expect(t, c, id, `{"provider":"github","paths":["<a>","é"],"number":9007199254740990}`, false)
	expect(t, c, id, `{"provider":"github","paths":["<a>","é"]}`, false)
	expect(t, c, id, `{"provider":"github","paths":["<a>","é"],"number":9007199254740991,"replay":"off"}`, false)
	expect(t, c, "namespaces/ci/triggers/empty", `{}`, true)
	expect(t, c, "namespaces/ci/triggers/empty", `null`, true)
	expect(t, c, "namespaces/ci/triggers/empty", ``, true)
}

// testEdited: new params pass at once, and the old ones for a minute, since an EventListener
// may not know of the edit yet.
func (s *site) testEdited(t *testing.T) {
	const id = "namespaces/ci/triggers/edited"
	s.apply(t, triggerOf("edited", asks("old")))
	c := s.cache()
	expect(t, c, id, secretOf("old"), true)
	s.apply(t, triggerOf("edited", asks("new")))
	began := time.Now()
	expect(t, c, id, secretOf("new"), true)
	expect(t, c, id, secretOf("old"), true)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to notice the edit", took)
	}
	s.pass(61 * time.Second)
	expect(t, c, id, secretOf("old"), false)
	expect(t, c, id, secretOf("new"), true)
}

func (s *site) testCreated(t *testing.T) {
	const id = "namespaces/ci/triggers/late"
	c := s.cache()
	expect(t, c, id, secretOf("late"), false)
	s.apply(t, triggerOf("late", asks("late")))
	expect(t, c, id, secretOf("late"), true)
}

func (s *site) testDeleted(t *testing.T) {
	const id = "namespaces/ci/triggers/deleted"
	s.apply(t, triggerOf("deleted", asks("gone")))
	c := s.cache()
	expect(t, c, id, secretOf("gone"), true)
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("triggers.tekton.dev/v1beta1")
	u.SetKind("Trigger")
	u.SetNamespace("ci")
	u.SetName("deleted")
	if err := s.admin.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	for range 3 { // it is used all the time
		s.pass(25 * time.Second)
		time.Sleep(100 * time.Millisecond)
		_ = check(t, c, id, secretOf("gone"))
	}
	expect(t, c, id, secretOf("gone"), false)
}

func (s *site) testAway(t *testing.T) {
	const id = "namespaces/ci/triggers/away"
	s.apply(t, triggerOf("away", asks("known")))
	c := s.cache()
	expect(t, c, id, secretOf("known"), true)
	s.away.Store(true)
	defer s.away.Store(false)
	s.pass(9 * time.Minute)
	expect(t, c, id, secretOf("known"), true)
	unknown := func(params string) {
		t.Helper()
		if err := check(t, c, id, params); err == nil || errors.Is(err, interceptor.ErrUnknownCaller) {
			t.Errorf("%s: got %v, want an error that says nothing of whether it is known", params, err)
		}
	}
	unknown(secretOf("other"))
	s.pass(2 * time.Minute)
	unknown(secretOf("known"))
	s.away.Store(false)
	expect(t, c, id, secretOf("known"), true)
}

// testSpacing: what was made up waits for reads, of which there are few; what is known does
// not wait.
func (s *site) testSpacing(t *testing.T) {
	const id = "namespaces/ci/triggers/flooded"
	s.apply(t, triggerOf("flooded", asks("known")))
	c := s.cache()
	expect(t, c, id, secretOf("known"), true)
	before := s.reads.Load()
	began := time.Now()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			for j := range 3 {
				expect(t, c, id, secretOf(fmt.Sprintf("made-up-%d-%d", i, j)), false)
			}
		})
	}
	asked := time.Now()
	for range 100 {
		expect(t, c, id, secretOf("known"), true)
	}
	if took := time.Since(asked); took > 500*time.Millisecond {
		t.Errorf("100 requests of what is known took %s", took)
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	pages := s.reads.Load() - before
	if most := int64(seconds*2+2) * 5; pages > most {
		t.Errorf("%d requests to the API server in %.1f s, more than %d", pages, seconds, most)
	}
}

func (s *site) testBounded(t *testing.T) {
	c := s.cache()
	const known = "namespaces/ci/triggers/build"
	expect(t, c, known, secretOf("of-trigger"), true)
	var all sync.WaitGroup
	names := make(chan int)
	for range 16 {
		all.Go(func() {
			for i := range names {
				expect(t, c, fmt.Sprintf("namespaces/made-up-%d/triggers/x", i), secretOf("x"), false)
			}
		})
	}
	for i := range callers.MaxEntries + 200 {
		names <- i
	}
	close(names)
	all.Wait()
	if n := c.Len(); n > callers.MaxEntries {
		t.Errorf("%d triggers are remembered, more than %d", n, callers.MaxEntries)
	}
	before := s.reads.Load()
	expect(t, c, known, secretOf("of-trigger"), true)
	if s.reads.Load() != before {
		t.Error("made-up triggers pushed out one that is known")
	}
}
