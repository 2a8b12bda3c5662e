package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var birth = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// clock is a wall clock that a test moves.
type clock struct {
	sync.Mutex
	t time.Time
}

func (c *clock) now() time.Time {
	c.Lock()
	defer c.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.Lock()
	defer c.Unlock()
	c.t = t
}

func secretOf(t *testing.T, now time.Time) *corev1.Secret {
	t.Helper()
	s, err := newSecret(Options{Namespace: "tekgate", Name: "ca", Now: func() time.Time { return now },
		DNSNames: ServiceNames("hook", "tekgate"), IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func authority(t *testing.T, c *clock) *Authority {
	t.Helper()
	a := &Authority{options: Options{
		Namespace: "tekgate", Name: "ca", Now: c.now,
		DNSNames: ServiceNames("hook", "tekgate"), IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	}}
	if err := a.adopt(secretOf(t, birth)); err != nil {
		t.Fatal(err)
	}
	return a
}

func leafOf(t *testing.T, a *Authority) *x509.Certificate {
	t.Helper()
	c, err := a.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

func TestLeafIsTrustedByBundle(t *testing.T) {
	c := &clock{t: birth}
	a := authority(t, c)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.CABundle()) {
		t.Fatal("the bundle holds no certificate")
	}
	for _, host := range append(ServiceNames("hook", "tekgate"), "127.0.0.1") {
		_, err := leafOf(t, a).Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: birth})
		if err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := leafOf(t, a).Verify(x509.VerifyOptions{Roots: roots, DNSName: "other.svc",
		CurrentTime: birth}); err == nil {
		t.Error("the leaf serves a name that nobody asked for")
	}
}

// TestCAIsConstrained holds that what another signs with the CA's key passes for no other
// server.
func TestCAIsConstrained(t *testing.T) {
	now := func() time.Time { return birth }
	loopback := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	ours := Options{Now: now, DNSNames: ServiceNames("hook", "tekgate"), IPs: loopback}
	for _, tt := range []struct {
		name    string
		ca      Options
		names   []string
		ips     []net.IP
		trusted bool
	}{
		{"its own", ours, ours.DNSNames, loopback, true},
		{"some of its own", ours, ours.DNSNames[:1], nil, true},
		{"another Service", ours, []string{"other.tekgate.svc"}, nil, false},
		{"the API server", ours, []string{"kubernetes.default.svc"}, nil, false},
		{"its own and another", ours, append(ServiceNames("hook", "tekgate"), "example.com"), nil, false},
		{"another address", ours, nil, []net.IP{net.IPv4(10, 0, 0, 1)}, false},
		{"another address of the other family", ours, nil, []net.IP{net.ParseIP("fd00::1")}, false},
		{"an address, without any", Options{Now: now, DNSNames: ours.DNSNames}, nil, loopback[:1], false},
		{"a name, without any", Options{Now: now, IPs: loopback}, []string{"hook"}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			secret, err := newSecret(tt.ca)
			if err != nil {
				t.Fatal(err)
			}
			thief := &Authority{options: Options{Now: now, DNSNames: tt.names, IPs: tt.ips}}
			if err := thief.adopt(secret); err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(thief.CABundle())
			stolen := stolenLeaf(t, thief.state.Load().signer, tt.names, tt.ips)
			for _, host := range append(slices.Clone(tt.names), addresses(tt.ips)...) {
				_, err := stolen.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: birth})
				if (err == nil) != tt.trusted {
					t.Errorf("%s: error %v", host, err)
				}
			}
			if got, _ := thief.options.fits(thief.state.Load().signer.Leaf); got != tt.trusted {
				t.Errorf("the authority takes its CA for permitted: %v", got)
			}
		})
	}
}

// stolenLeaf returns a leaf for any names and addresses, as one who has a CA's key makes it.
func stolenLeaf(t *testing.T, ca tls.Certificate, names []string, ips []net.IP) *x509.Certificate {
	t.Helper()
	unsigned, key, err := template(birth, "thief")
	if err != nil {
		t.Fatal(err)
	}
	unsigned.NotAfter, unsigned.DNSNames, unsigned.IPAddresses = birth.Add(time.Hour), names, ips
	der, err := x509.CreateCertificate(rand.Reader, unsigned, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func addresses(ips []net.IP) []string {
	var texts []string
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	return texts
}

func TestLifetimes(t *testing.T) {
	c := &clock{t: birth}
	a := authority(t, c)
	ca, first := a.state.Load().signer.Leaf, leafOf(t, a)
	for _, tt := range []struct {
		name      string
		got, want time.Time
	}{
		{"the CA is valid an hour before it was made", ca.NotBefore, birth.Add(-time.Hour)},
		{"the CA lasts ten years", ca.NotAfter, birth.Add(10 * 365 * 24 * time.Hour)},
		{"the leaf is valid an hour before it was made", first.NotBefore, birth.Add(-time.Hour)},
		{"the leaf lasts a week", first.NotAfter, birth.Add(7 * 24 * time.Hour)},
	} {
		if !tt.got.Equal(tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	twoThirds := birth.Add(7 * 24 * time.Hour * 2 / 3)
	c.set(twoThirds.Add(-time.Second))
	if !leafOf(t, a).Equal(first) {
		t.Error("the leaf was renewed before two thirds of its life")
	}
	c.set(twoThirds)
	if leafOf(t, a).Equal(first) {
		t.Error("the leaf was not renewed after two thirds of its life")
	}
}

func TestLeafNeverOutlivesItsCA(t *testing.T) {
	c := &clock{t: birth}
	a := authority(t, c)
	end := a.state.Load().signer.Leaf.NotAfter
	c.set(end.Add(-time.Hour))
	if got := leafOf(t, a).NotAfter; !got.Equal(end) {
		t.Errorf("the leaf ends at %s, its CA at %s", got, end)
	}
	c.set(end.Add(time.Second))
	if _, err := a.GetCertificate(nil); err == nil || !strings.Contains(err.Error(), "delete the Secret") {
		t.Errorf("after the CA's end: got %v, want an error with the remedy", err)
	}
}

func TestBurstMakesOneLeaf(t *testing.T) {
	a := authority(t, &clock{t: birth})
	got := make([]*tls.Certificate, 32)
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() { got[i], _ = a.GetCertificate(nil) })
	}
	group.Wait()
	for _, c := range got {
		if c == nil || c != got[0] {
			t.Fatal("simultaneous handshakes got different certificates")
		}
	}
}

func TestSubjectsDiffer(t *testing.T) {
	a, b := authority(t, &clock{t: birth}), authority(t, &clock{t: birth})
	if bytes.Equal(a.state.Load().signer.Leaf.RawSubject, b.state.Load().signer.Leaf.RawSubject) {
		t.Error("two CAs have one subject: clients that hold both would mistake them")
	}
}

func TestParseCA(t *testing.T) {
	other := secretOf(t, birth)
	leaf := func(t *testing.T) *corev1.Secret {
		s := secretOf(t, birth)
		s.Data[corev1.TLSCertKey] = encodeCertificate(leafOf(t, authority(t, &clock{t: birth})).Raw)
		return s
	}
	tests := []struct {
		name   string
		now    time.Time
		secret func(t *testing.T) *corev1.Secret
		want   string
	}{
		{"good", birth, func(t *testing.T) *corev1.Secret { return secretOf(t, birth) }, ""},
		{"empty", birth, func(*testing.T) *corev1.Secret { return &corev1.Secret{} },
			"are not a certificate and its key"},
		{"not PEM", birth, func(t *testing.T) *corev1.Secret {
			s := secretOf(t, birth)
			s.Data[corev1.TLSCertKey] = []byte("rubbish")
			return s
		}, "are not a certificate and its key"},
		{"another CA's key", birth, func(t *testing.T) *corev1.Secret {
			s := secretOf(t, birth)
			s.Data[corev1.TLSPrivateKeyKey] = other.Data[corev1.TLSPrivateKeyKey]
			return s
		}, "are not a certificate and its key"},
		{"a leaf with another's key", birth, leaf, "are not a certificate and its key"},
		{"expired", birth.Add(11 * 365 * 24 * time.Hour),
			func(t *testing.T) *corev1.Secret { return secretOf(t, birth) }, "expired at 2036-07-29T12:00:00Z"},
		{"not valid yet", birth.Add(-2 * time.Hour), func(t *testing.T) *corev1.Secret { return secretOf(t, birth) },
			"check the clock"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseCA(tt.secret(t), tt.now)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// TestHandshake is what clients see: TLS 1.3, HTTP/1.1 although they offer more.
func TestHandshake(t *testing.T) {
	a := authority(t, &clock{t: time.Now()})
	server := &tls.Config{}
	a.TLS(server)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go conn.(*tls.Conn).Handshake()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CABundle())
	dial := func(max uint16) (*tls.Conn, error) {
		return tls.Dial("tcp", listener.Addr().String(), &tls.Config{
			RootCAs: roots, ServerName: "hook.tekgate.svc", MaxVersion: max, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	conn, err := dial(tls.VersionTLS13)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if state := conn.ConnectionState(); state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("negotiated version %x and protocol %q", state.Version, state.NegotiatedProtocol)
	}
	if old, err := dial(tls.VersionTLS12); err == nil {
		old.Close()
		t.Error("TLS 1.2 was accepted")
	}
}

func BenchmarkGetCertificate(b *testing.B) {
	a := &Authority{options: Options{Now: func() time.Time { return birth }, DNSNames: []string{"a"}}}
	if err := a.adopt(mustSecret(b)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := a.GetCertificate(nil); err != nil {
			b.Fatal(err)
		}
	}
}

func mustSecret(b *testing.B) *corev1.Secret {
	b.Helper()
	s, err := newSecret(Options{Now: func() time.Time { return birth }, DNSNames: []string{"a"}})
	if err != nil {
		b.Fatal(err)
	}
	return s
}
