package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// replicas are processes that share one CA, each with the bundle that clients read,
// and clients that read it as EventListeners do: they forget none.
type replicas struct {
	t       *testing.T
	client  client.Client
	clock   *clock
	all     []*Authority
	bundle  []byte // as published last
	trusted *x509.CertPool
}

func newReplicas(t *testing.T, c client.Client, name string, number int) *replicas {
	t.Helper()
	r := &replicas{t: t, client: c, clock: &clock{t: birth}, trusted: x509.NewCertPool()}
	for range number {
		a, err := Load(t.Context(), Options{Client: c, Namespace: "default", Name: name, DNSNames: []string{"hook"},
			Now: r.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		r.all = append(r.all, a)
	}
	r.bundle = r.all[0].CABundle()
	r.trusted.AppendCertsFromPEM(r.bundle)
	return r
}

// round is what each replica does once a minute, and what clients do then.
func (r *replicas) round() {
	r.t.Helper()
	r.clock.set(r.clock.now().Add(time.Minute))
	for _, a := range r.all {
		if err := a.Advance(r.t.Context(), r.bundle); err != nil {
			r.t.Fatal(err)
		}
		r.bundle = a.CABundle()
		r.check()
	}
	r.trusted.AppendCertsFromPEM(r.bundle)
	r.check()
}

// check lets clients that read the bundle at the last round, and such as read it
// now for the first time, meet every replica.
func (r *replicas) check() {
	r.t.Helper()
	fresh := x509.NewCertPool()
	fresh.AppendCertsFromPEM(r.bundle)
	for i, a := range r.all {
		leaf := leafOf(r.t, a)
		for who, roots := range map[string]*x509.CertPool{"an old client": r.trusted, "a new client": fresh} {
			_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "hook", CurrentTime: r.clock.now()})
			if err != nil {
				r.t.Fatalf("at %s %s does not trust replica %d: %v", r.clock.now().Sub(birth), who, i, err)
			}
		}
	}
}

func (r *replicas) secret(name string) *corev1.Secret {
	r.t.Helper()
	s := &corev1.Secret{}
	if err := r.client.Get(r.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func TestAdvance(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c, err := client.New(cluster.Start(t).Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("on demand", func(t *testing.T) { testOnDemand(t, newReplicas(t, c, "demand", 3)) })
	t.Run("when it is due", func(t *testing.T) { testDue(t, newReplicas(t, c, "due", 2)) })
	t.Run("not before it is published", func(t *testing.T) { testUnpublished(t, newReplicas(t, c, "unpublished", 1)) })
	t.Run("a Secret that is gone", func(t *testing.T) { testGone(t, newReplicas(t, c, "gone", 1)) })
	t.Run("a replica with one more name", func(t *testing.T) { testOneMoreName(t, newReplicas(t, c, "more", 2)) })
	t.Run("a server with other names", func(t *testing.T) { testOtherNames(t, newReplicas(t, c, "other", 1)) })
	t.Run("nothing but certificates gets into the bundle",
		func(t *testing.T) { testForeign(t, newReplicas(t, c, "foreign", 1)) })
}

func testOnDemand(t *testing.T, r *replicas) {
	r.round()
	old := r.secret("demand")
	old.Annotations = map[string]string{wellknown.RotateKey: "please"}
	if err := r.client.Update(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for minute := 1; minute <= 15; minute++ {
		r.round()
		if now := r.secret("demand"); replaced == 0 && !bytes.Equal(now.Data["tls.crt"], old.Data["tls.crt"]) {
			replaced = minute
		}
	}
	if replaced < 5 || replaced > 9 {
		t.Errorf("the CA was replaced after %d minutes, want about seven", replaced)
	}
	now := r.secret("demand")
	if now.Annotations[wellknown.RotateKey] != "" || len(now.Data[nextCertificate]) > 0 ||
		!bytes.Equal(now.Data[previous], old.Data["tls.crt"]) {
		t.Errorf("annotations %v, keys of data %d", now.Annotations, len(now.Data))
	}
	// The old CA goes when all leaves that it signed have expired.
	r.clock.set(r.clock.now().Add(leafLife))
	r.trusted.AppendCertsFromPEM(r.bundle)
	for range 3 {
		r.round()
	}
	if n := strings.Count(string(r.bundle), "BEGIN CERTIFICATE"); n != 1 {
		t.Errorf("%d certificates are left in the bundle", n)
	}
}

func testDue(t *testing.T, r *replicas) {
	old := r.secret("due")
	r.clock.set(birth.Add(caLife/3*2 - 24*time.Hour))
	for range 10 {
		r.round()
	}
	if !bytes.Equal(r.secret("due").Data["tls.crt"], old.Data["tls.crt"]) {
		t.Fatal("the CA was replaced before two thirds of its life")
	}
	r.clock.set(birth.Add(caLife/3*2 + 24*time.Hour))
	for range 15 {
		r.round()
	}
	if bytes.Equal(r.secret("due").Data["tls.crt"], old.Data["tls.crt"]) {
		t.Fatal("the CA was not replaced after two thirds of its life")
	}
	if _, ca := r.all[0].Expiry(); ca.Before(birth.Add(caLife)) {
		t.Errorf("the new CA expires at %s", ca)
	}
}

func testUnpublished(t *testing.T, r *replicas) {
	old := r.secret("unpublished")
	old.Annotations = map[string]string{wellknown.RotateKey: ""}
	if err := r.client.Update(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		r.clock.set(r.clock.now().Add(time.Minute))
		if err := r.all[0].Advance(t.Context(), old.Data["tls.crt"]); err != nil {
			t.Fatal(err)
		}
	}
	now := r.secret("unpublished")
	if !bytes.Equal(now.Data["tls.crt"], old.Data["tls.crt"]) || len(now.Data[nextCertificate]) == 0 {
		t.Error("a CA signs that no client could have read")
	}
}

func testGone(t *testing.T, r *replicas) {
	before := leafOf(t, r.all[0])
	if err := r.client.Delete(t.Context(), r.secret("gone")); err != nil {
		t.Fatal(err)
	}
	err := r.all[0].Advance(context.Background(), nil)
	if err == nil || !strings.Contains(err.Error(), "Secret default/gone") {
		t.Errorf("got %v", err)
	}
	if !leafOf(t, r.all[0]).Equal(before) {
		t.Error("the leaf changed")
	}
}

func testForeign(t *testing.T, r *replicas) {
	s := r.secret("foreign")
	s.Data[previous] = []byte("garbage\n-----BEGIN PRIVATE KEY-----\naGk=\n-----END PRIVATE KEY-----\n")
	if err := r.client.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.round()
	if got := string(r.bundle); got != string(s.Data["tls.crt"]) {
		t.Errorf("the bundle is %s", got)
	}
}

// join adds a replica that clients call by other names.
func (r *replicas) join(name string, names ...string) *Authority {
	r.t.Helper()
	a, err := Load(r.t.Context(), Options{Client: r.client, Namespace: "default", Name: name, DNSNames: names,
		Now: r.clock.now})
	if err != nil {
		r.t.Fatal(err)
	}
	r.all = append(r.all, a)
	return a
}

// testOneMoreName holds that a server is called by its old names all the while (check), by
// the new one soon, and that its CA is replaced once, not again and again by each replica.
func testOneMoreName(t *testing.T, r *replicas) {
	a := r.join("more", "hook", "hook.example.com")
	for range 15 {
		r.round()
	}
	first := r.secret("more").Data["tls.crt"]
	if err := leafOf(t, a).VerifyHostname("hook.example.com"); err != nil {
		t.Errorf("the new name is not served: %v", err)
	}
	for range 30 {
		r.round()
	}
	if !bytes.Equal(r.secret("more").Data["tls.crt"], first) {
		t.Error("the CA was replaced again")
	}
	again := r.secret("more")
	again.Annotations[wellknown.RotateKey] = "" // which a replica without the name may see first
	if err := r.client.Update(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	for range 15 {
		r.round()
		if err := leafOf(t, a).VerifyHostname("hook.example.com"); err != nil {
			t.Fatalf("the new name is no longer served: %v", err)
		}
	}
}

// testOtherNames holds that a CA that may vouch for none of a server's names is replaced at
// once, stays in the bundle, and that the one in its place may vouch for the old names too.
func testOtherNames(t *testing.T, r *replicas) {
	old := r.secret("other").Data["tls.crt"]
	a := r.join("other", "hook.example.com")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CABundle())
	wanted := x509.VerifyOptions{Roots: roots, DNSName: "hook.example.com", CurrentTime: r.clock.now()}
	if _, err := leafOf(t, a).Verify(wanted); err != nil {
		t.Errorf("the new name at once: %v", err)
	}
	if !bytes.Contains(a.CABundle(), old) {
		t.Error("the old CA is no longer in the bundle, though replicas may serve its leaves")
	}
	replaced := r.secret("other").Data["tls.crt"]
	r.bundle = a.CABundle() // published
	r.trusted.AppendCertsFromPEM(r.bundle)
	r.all = r.all[:1]
	for range 30 {
		r.round()
	}
	if !bytes.Equal(r.secret("other").Data["tls.crt"], replaced) {
		t.Error("the CA was replaced again")
	}
}
