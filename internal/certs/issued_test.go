package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// issuer signs as cert-manager does, whose own signing is in the tests of the servers.
type issuer struct{ ca tls.Certificate }

func newIssuer(t *testing.T, now time.Time) issuer {
	t.Helper()
	o := Options{Now: func() time.Time { return now }, DNSNames: []string{"hook", "svc"}}
	certificate, key, err := o.newCA(nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{pair}
}

func (i issuer) pem() []byte { return encodeCertificate(i.ca.Certificate[0]) }

// issue returns the data of a Secret with a leaf of ninety days.
func (i issuer) issue(t *testing.T, now time.Time, names ...string) map[string][]byte {
	t.Helper()
	template, key, err := template(now, "issued")
	if err != nil {
		t.Fatal(err)
	}
	template.NotAfter, template.DNSNames = now.Add(90*24*time.Hour), names
	der, err := x509.CreateCertificate(rand.Reader, template, i.ca.Leaf, key.Public(), i.ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"tls.crt": encodeCertificate(der), "ca.crt": i.pem(),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func TestIssued(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c, err := client.New(cluster.Start(t).Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("from the own CA and back", func(t *testing.T) { testSwitch(t, newReplicas(t, c, "switch", 2)) })
	t.Run("a first installation waits for nothing but a certificate", func(t *testing.T) { testFirst(t, c) })
	t.Run("an issuer with another CA each time", func(t *testing.T) { testMany(t, c) })
	t.Run("what is wrong is said, and what there was is served on", func(t *testing.T) { testWrong(t, c) })
}

// put writes the Secret that cert-manager would.
func put(t *testing.T, c client.Client, name string, data map[string][]byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err == nil {
		secret.Data = data
		err = c.Update(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		return
	} else if !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	secret.Data = data
	if err := c.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

// start starts another replica; it takes part at once, and has clients once it is
// settled.
func (r *replicas) start(name, secret string) *Authority {
	r.t.Helper()
	a, err := Load(r.t.Context(), Options{Client: r.client, Namespace: "default", Name: name, Issued: secret,
		DNSNames: []string{"hook"}, Now: r.clock.now})
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// until has replicas that are not ready take part, and returns after how many minutes
// they are.
func (r *replicas) until(coming *Authority) (minutes int) {
	r.t.Helper()
	for minutes = range 20 {
		if coming.Settled() == nil {
			r.all = append(r.all, coming)
			r.check()
			return minutes
		}
		if err := coming.Advance(r.t.Context(), r.bundle); err != nil {
			r.t.Fatal(err)
		}
		r.bundle = coming.CABundle()
		r.round()
	}
	r.t.Fatalf("it is never ready: %v", coming.Settled())
	return 0
}

func (r *replicas) end() {
	r.all = r.all[1:]
	r.round()
}

// testSwitch rolls two replicas out from the own CA to issued certificates, has the
// issuer's CA replaced, and rolls back. At every moment every client trusts every
// replica that is ready, be it that the client has just read the bundle for the first
// time, or read it a minute ago.
func testSwitch(t *testing.T, r *replicas) {
	r.round()
	r.round()
	ownCA := r.secret("switch").Data["tls.crt"]
	first := newIssuer(t, r.clock.now())
	put(t, r.client, "switch-tls", first.issue(t, r.clock.now(), "hook"))
	if took := r.until(r.start("switch", "switch-tls")); took < 2 || took > 5 {
		t.Errorf("the first replica of the new source is ready after %d minutes", took)
	}
	r.end()
	if took := r.until(r.start("switch", "switch-tls")); took != 0 {
		t.Errorf("the second is ready after %d minutes, although the CA is known", took)
	}
	r.end()
	signedBy(t, r, first.pem())

	second := newIssuer(t, r.clock.now())
	put(t, r.client, "switch-tls", second.issue(t, r.clock.now(), "hook"))
	for range 4 {
		r.round()
		signedBy(t, r, first.pem())
	}
	for range 5 {
		r.round()
	}
	signedBy(t, r, second.pem())
	if !bytes.Contains(r.bundle, first.pem()) || !bytes.Contains(r.bundle, ownCA) {
		t.Error("the bundle lost a CA that may be needed")
	}

	// A renewal by a CA that is known is served at once.
	renewed := second.issue(t, r.clock.now(), "hook")
	put(t, r.client, "switch-tls", renewed)
	r.round()
	if leaf := leafOf(t, r.all[0]); !bytes.Equal(encodeCertificate(leaf.Raw), renewed["tls.crt"]) {
		t.Error("a renewed certificate is not served")
	}
	r.forgets(ownCA, first.pem())
	if s := r.secret("switch"); len(s.Data["tls.key"]) > 0 {
		t.Error("the own CA's key is kept, though nobody needs it")
	}

	if took := r.until(r.start("switch", "")); took < 2 || took > 5 {
		t.Errorf("the first replica with a CA of its own again is ready after %d minutes", took)
	}
	r.end()
	r.until(r.start("switch", ""))
	r.end()
	signedBy(t, r, r.secret("switch").Data["tls.crt"])
	r.forgets(second.pem())
}

// forgets lets days pass until CAs have left the bundle, which is not at once.
func (r *replicas) forgets(cas ...[]byte) {
	r.t.Helper()
	gone := func(ca []byte) bool { return !bytes.Contains(r.bundle, ca) }
	for day := range 12 {
		if slices.ContainsFunc(cas, gone) && day < 7 {
			r.t.Errorf("a CA leaves the bundle after %d days", day)
		}
		r.clock.set(r.clock.now().Add(24 * time.Hour))
		for range 3 {
			r.round()
		}
	}
	if !slices.ContainsFunc(cas, func(ca []byte) bool { return !gone(ca) }) {
		return
	}
	r.t.Errorf("%d certificates are left in the bundle", strings.Count(string(r.bundle), "BEGIN CERTIFICATE"))
}

func signedBy(t *testing.T, r *replicas, ca []byte) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	for i, a := range r.all {
		if _, err := leafOf(t, a).Verify(x509.VerifyOptions{Roots: pool, CurrentTime: r.clock.now()}); err != nil {
			t.Errorf("replica %d serves what another CA signed", i)
		}
	}
}

func testFirst(t *testing.T, c client.Client) {
	clock := &clock{t: birth}
	o := Options{Client: c, Namespace: "default", Name: "first", Issued: "first-tls", DNSNames: []string{"hook"},
		Now: clock.now}
	a, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	const waiting = "waiting for cert-manager: Secret default/first-tls is not there yet"
	_, handshake := a.GetCertificate(nil)
	for what, err := range map[string]error{"Settled": a.Settled(), "Advance": a.Advance(t.Context(), nil),
		"a handshake": handshake, "TrustedBy": a.TrustedBy(newIssuer(t, birth).pem())} {
		if err == nil || !strings.Contains(err.Error(), waiting) {
			t.Errorf("%s says %v", what, err)
		}
	}
	if leaf, ca := a.Expiry(); !leaf.IsZero() || !ca.IsZero() {
		t.Errorf("nothing expires at %s and %s", leaf, ca)
	}
	i := newIssuer(t, birth)
	put(t, c, "first-tls", i.issue(t, birth, "hook"))
	if err := a.Advance(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Settled(), a.TrustedBy(a.CABundle())); err != nil || !bytes.Equal(a.CABundle(), i.pem()) {
		t.Errorf("error %v, bundle\n%s", err, a.CABundle())
	}
	secret := &corev1.Secret{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "first"}, secret); err != nil {
		t.Fatal(err)
	}
	if len(secret.Data["tls.crt"]) > 0 || len(secret.Data["tls.key"]) > 0 {
		t.Error("a CA was made that nobody asked for")
	}
	testExpires(t, a, clock)
}

// testExpires counts what is told of a certificate of ninety days that is not renewed.
func testExpires(t *testing.T, a *Authority, clock *clock) {
	var reminder Reminder
	told := 0
	for day := range 89 {
		clock.set(birth.Add(time.Duration(day) * 24 * time.Hour))
		w, due := a.Expiring(&reminder, "nobody can call", errors.New("a cause"))
		if !due {
			continue
		}
		if told++; day < 75 || w.Secret != "first-tls" ||
			!strings.Contains(w.Text, "cert-manager has not renewed it: `kubectl -n default describe certificate first-tls` says why: a cause") {
			t.Fatalf("on day %d it is told %+v", day, w)
		}
	}
	if told != 14 {
		t.Errorf("it is told of on %d days of the last fifteen", told)
	}
}

// testMany has the bundle stay small, and two replicas start at the same time.
func testMany(t *testing.T, c client.Client) {
	clock := &clock{t: birth}
	put(t, c, "many-tls", newIssuer(t, birth).issue(t, birth, "hook"))
	r := &replicas{t: t, client: c, clock: clock, trusted: x509.NewCertPool()}
	both := []*Authority{r.start("many", "many-tls"), r.start("many", "many-tls")}
	for _, a := range both {
		if a.Settled() == nil {
			t.Error("a replica is ready whose CA nobody has published")
		}
	}
	var starting sync.WaitGroup
	for _, a := range both {
		starting.Go(func() {
			if err := a.Advance(t.Context(), nil); err != nil || len(a.CABundle()) == 0 || a.Settled() != nil {
				t.Errorf("error %v, a bundle of %d bytes, %v", err, len(a.CABundle()), a.Settled())
			}
		})
	}
	starting.Wait()
	r.all, r.bundle = both, both[0].CABundle()
	r.trusted.AppendCertsFromPEM(r.bundle)
	for range 20 {
		for range 6 {
			r.round()
		}
		put(t, c, "many-tls", newIssuer(t, r.clock.now()).issue(t, r.clock.now(), "hook"))
	}
	if n := strings.Count(string(r.bundle), "BEGIN CERTIFICATE"); n > mostPrevious+1 {
		t.Errorf("the bundle has %d certificates", n)
	}
}

func testWrong(t *testing.T, c client.Client) {
	clock := &clock{t: birth}
	good := newIssuer(t, birth)
	put(t, c, "wrong-tls", good.issue(t, birth, "hook.default.svc"))
	a, err := Load(t.Context(), Options{Client: c, Namespace: "default", Name: "wrong", Issued: "wrong-tls",
		DNSNames: ServiceNames("hook", "default"), Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	before := leafOf(t, a)
	with := func(change func(map[string][]byte)) map[string][]byte {
		data := good.issue(t, birth, "hook.default.svc")
		change(data)
		return data
	}
	for _, tt := range []struct {
		want string
		data map[string][]byte
	}{
		{"not a certificate and its key", with(func(d map[string][]byte) {
			d["tls.key"] = good.issue(t,
				birth)["tls.key"]
		})},
		{"it is not for hook.default.svc", good.issue(t, birth, "other.default.svc")},
		{"its ca.crt does not vouch for it", with(func(d map[string][]byte) {
			d["ca.crt"] = newIssuer(t,
				birth).pem()
		})},
		{"it expired at 2026-07", good.issue(t, birth.Add(-100*24*time.Hour), "hook.default.svc")},
	} {
		put(t, c, "wrong-tls", tt.data)
		if err := a.Advance(t.Context(), a.CABundle()); err != nil {
			t.Errorf("nothing is published any more: %v", err)
		}
		if err := a.Trouble(); err == nil || !strings.Contains(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("got %v, want %q", err, tt.want)
		}
		if !leafOf(t, a).Equal(before) {
			t.Errorf("%s: it is served all the same", tt.want)
		}
	}
	// An issuer that does not tell its CA: the end of the chain is trusted.
	data := with(func(d map[string][]byte) { d["tls.crt"], d["ca.crt"] = append(d["tls.crt"], good.pem()...), nil })
	put(t, c, "wrong-tls", data)
	if err := a.Advance(t.Context(), a.CABundle()); err != nil || a.Trouble() != nil {
		t.Errorf("without ca.crt: %v, %v", err, a.Trouble())
	}
	if !bytes.Equal(a.offered.roots, good.pem()) {
		t.Errorf("trusted is\n%s", a.offered.roots)
	}
}
