package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// measures returns counters of the test's own.
func (b *bed) measures() *measures {
	b.Helper()
	m, err := newMeasures(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// alarm returns one that writes Events on the test's API server.
func (b *bed) alarm() *server.Alarm {
	b.Helper()
	clients, err := kubernetes.NewForConfig(b.cluster.Config)
	if err != nil {
		b.Fatal(err)
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: clients.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(broadcaster.Shutdown)
	return &server.Alarm{
		Namespace: "tekgate", Effect: "the API server cannot call Tekgate any more", Log: logr.Discard(),
		Warn: server.Recorded(broadcaster.NewRecorder(scheme.Scheme, "tekgate-webhook")),
	}
}

// testTrust asks, beside a server that is trusted, for a certificate that is not.
func (b *bed) testTrust() {
	own := newOwnSettings(logr.Discard())
	c, err := cache.New(b.cluster.Config, cacheOptions(logr.Discard(), own, wellknown.PipelinesNamespace))
	if err != nil {
		b.Fatal(err)
	}
	load := func(name string) *trust {
		authority, err := certs.Load(b.Context(),
			certs.Options{Client: b.client, Namespace: "tekgate", Name: name, DNSNames: []string{"localhost"}})
		if err != nil {
			b.Fatal(err)
		}
		t := &trust{authority: authority}
		if err := t.watch(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		return t
	}
	ours, other := load(wellknown.WebhookCA), load("someone-elses-ca")
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/readyz", nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := ours.ready(request); err == nil || !strings.Contains(err.Error(), "not known yet") {
		b.Errorf("before the configurations are known: %v", err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { _ = c.Start(ctx) }()
	if !c.WaitForCacheSync(ctx) {
		b.Fatal("the cache is not filled")
	}
	if err := ours.ready(request); err != nil {
		b.Errorf("the server's own CA: %v", err)
	}
	if err := other.ready(request); err == nil ||
		!strings.Contains(err.Error(), "webhook taskruns.mutate.tekgate.dev: its caBundle does not vouch for the certificate that is served") {
		b.Errorf("another CA: %v", err)
	}
}

// testExpiring gives the server a CA of five days, which cannot be replaced because
// there is no configuration to publish another one in.
func (b *bed) testExpiring() {
	const name = "expiring-ca"
	expiry := time.Now().Add(5 * 24 * time.Hour)
	b.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: name}, Type: corev1.SecretTypeTLS,
		Data: shortLived(b.T, expiry),
	})
	authority, err := certs.Load(b.Context(), certs.Options{Client: b.client, Namespace: "tekgate", Name: name,
		DNSNames: []string{"localhost"}})
	if err != nil {
		b.Fatal(err)
	}
	i := &injector{client: b.client, authority: authority, metrics: b.measures(), alarm: b.alarm()}
	for range 3 {
		if i.inject(b.Context()) == nil {
			b.Fatal("the CA was published, where there are no configurations")
		}
	}
	b.eventually("an Event tells of it, once", func() error {
		var list corev1.EventList
		if err := b.client.List(b.Context(), &list, client.InNamespace("tekgate")); err != nil {
			return err
		}
		told := 0
		for _, event := range list.Items {
			if event.Reason == "CertificateExpires" && event.Type == corev1.EventTypeWarning &&
				event.InvolvedObject.Kind == "Secret" &&
				strings.Contains(event.Message, expiry.UTC().Format("2006-01-02")) &&
				strings.Contains(event.Message, "tekgate install") {
				told++
			}
		}
		if told != 1 {
			return fmt.Errorf("%d Events tell of it", told)
		}
		return nil
	})
}

// shortLived returns the data of a Secret with a CA that nobody renewed.
func shortLived(t *testing.T, expiry time.Time) map[string][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an old CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: expiry,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// TestPatience holds that whoever overwrites a bundle again and again is answered
// ever later, and who did it once long ago at once.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts, err := newMeasures(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		changes := make(chan struct{}, 1)
		i := &injector{changes: changes, metrics: counts, log: logr.Discard()}
		reacts := func() time.Duration {
			changes <- struct{}{}
			began := time.Now()
			i.rest(t.Context(), 24*time.Hour)
			i.note(true, wellknown.MutatingConfiguration)
			return time.Since(began)
		}
		if took := reacts(); took != 0 {
			t.Errorf("the first repair waits for %s", took)
		}
		for range 2 {
			if took := reacts(); took > time.Second {
				t.Errorf("an early repair waits for %s", took)
			}
		}
		for range 10 {
			reacts()
		}
		if took := reacts(); took != 30*time.Second {
			t.Errorf("in a fight the repair waits for %s, want %s", took, 30*time.Second)
		}
		time.Sleep(2*time.Minute + time.Second)
		if took := reacts(); took != 0 {
			t.Errorf("after peace a repair waits for %s", took)
		}
	})
}
