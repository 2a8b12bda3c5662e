package certs_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/certs"
)

// TestOnAPIServer shares one API server between the tests that need one.
func TestOnAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c, err := client.New(cluster.Start(t).Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("replicas share one CA", func(t *testing.T) { testOneCA(t, c) })
	t.Run("an unusable Secret is left alone", func(t *testing.T) { testUnusable(t, c) })
	t.Run("a missing namespace is named", func(t *testing.T) { testMissingNamespace(t, c) })
	t.Run("mutating", func(t *testing.T) { testInject(t, c, mutating(), certs.InjectMutating) })
	t.Run("validating", func(t *testing.T) { testInject(t, c, validating(), certs.InjectValidating) })
	t.Run("missing configuration", func(t *testing.T) { testMissingConfiguration(t, c) })
}

func options(c client.Client, name string) certs.Options {
	return certs.Options{Client: c, Namespace: "default", Name: name, DNSNames: certs.ServiceNames("hook", "default")}
}

func testOneCA(t *testing.T, c client.Client) {
	bundles, errs := make([][]byte, 8), make([]error, 8)
	var group sync.WaitGroup
	for i := range bundles {
		group.Go(func() {
			a, err := certs.Load(t.Context(), options(c, "race-ca"))
			if errs[i] = err; err == nil {
				bundles[i] = a.CABundle()
			}
		})
	}
	group.Wait()
	for i := range bundles {
		if errs[i] != nil || !bytes.Equal(bundles[i], bundles[0]) {
			t.Fatalf("replica %d: error %v, bundle equal to the first one's: %v", i, errs[i],
				bytes.Equal(bundles[i], bundles[0]))
		}
	}
	late, err := certs.Load(t.Context(), options(c, "race-ca"))
	if err != nil || !bytes.Equal(late.CABundle(), bundles[0]) {
		t.Errorf("a replica that starts later: error %v", err)
	}
}

func testUnusable(t *testing.T, c client.Client) {
	corrupt := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "corrupt-ca"},
		Data:       map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("hunter2")},
	}
	expired := options(c, "expired-ca")
	expired.Now = func() time.Time { return time.Now().Add(-11 * 365 * 24 * time.Hour) }
	if _, err := certs.Load(t.Context(), expired); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), corrupt); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"corrupt-ca", "expired-ca"} {
		before := versionOf(t, c, "default", &corev1.Secret{}, name)
		_, err := certs.Load(t.Context(), options(c, name))
		if err == nil {
			t.Fatalf("%s was accepted", name)
		}
		for _, part := range []string{"Secret default/" + name, "delete the Secret and restart"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error %q lacks %q", err, part)
			}
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q is not one clean sentence", err)
		}
		if after := versionOf(t, c, "default", &corev1.Secret{}, name); after != before {
			t.Errorf("%s was overwritten", name)
		}
	}
}

func testMissingNamespace(t *testing.T, c client.Client) {
	o := options(c, "ca")
	o.Namespace = "nowhere"
	_, err := certs.Load(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "creating the CA's Secret nowhere/ca") {
		t.Errorf("got %v", err)
	}
}

func versionOf(t *testing.T, c client.Client, namespace string, o client.Object, name string) string {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		t.Fatal(err)
	}
	return o.GetResourceVersion()
}

var (
	none    = admissionv1.SideEffectClassNone
	path    = "/mutate"
	port    = int32(8443)
	url     = "https://127.0.0.1:9443/mutate"
	service = &admissionv1.ServiceReference{Name: "hook", Namespace: "default", Path: &path, Port: &port}
)

func mutating() client.Object {
	hook := func(name string, c admissionv1.WebhookClientConfig) admissionv1.MutatingWebhook {
		return admissionv1.MutatingWebhook{
			Name: name, ClientConfig: c, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		}
	}
	return &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "mutate.example.dev", Labels: map[string]string{"a": "b"}},
		Webhooks: []admissionv1.MutatingWebhook{
			hook("service.example.dev", admissionv1.WebhookClientConfig{Service: service}),
			hook("url.example.dev", admissionv1.WebhookClientConfig{URL: &url}),
		},
	}
}

func validating() client.Object {
	hook := func(name string, c admissionv1.WebhookClientConfig) admissionv1.ValidatingWebhook {
		return admissionv1.ValidatingWebhook{
			Name: name, ClientConfig: c, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		}
	}
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "validate.example.dev", Labels: map[string]string{"a": "b"}},
		Webhooks: []admissionv1.ValidatingWebhook{
			hook("service.example.dev", admissionv1.WebhookClientConfig{Service: service}),
			hook("url.example.dev", admissionv1.WebhookClientConfig{URL: &url}),
		},
	}
}

// clientConfigs returns the webhooks' client configurations by name.
func clientConfigs(t *testing.T, o client.Object) map[string]*admissionv1.WebhookClientConfig {
	t.Helper()
	found := map[string]*admissionv1.WebhookClientConfig{}
	switch o := o.(type) {
	case *admissionv1.MutatingWebhookConfiguration:
		for i := range o.Webhooks {
			found[o.Webhooks[i].Name] = &o.Webhooks[i].ClientConfig
		}
	case *admissionv1.ValidatingWebhookConfiguration:
		for i := range o.Webhooks {
			found[o.Webhooks[i].Name] = &o.Webhooks[i].ClientConfig
		}
	}
	return found
}

type injectFunc func(ctx context.Context, c client.Client, name string, bundle []byte) (changed bool, err error)

func testInject(t *testing.T, c client.Client, o client.Object, inject injectFunc) {
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	name := o.GetName()
	for round, secret := range []string{"first-ca", "second-ca"} {
		a, err := certs.Load(t.Context(), options(c, fmt.Sprint(strings.ToLower(name), "-", secret)))
		if err != nil {
			t.Fatal(err)
		}
		if changed, err := inject(t.Context(), c, name, a.CABundle()); err != nil || !changed {
			t.Fatalf("round %d: changed %v, error %v", round, changed, err)
		}
		version := versionOf(t, c, "", o, name)
		checkInjected(t, o, a.CABundle())
		if changed, err := inject(t.Context(), c, name, a.CABundle()); err != nil || changed {
			t.Fatalf("a second time: changed %v, error %v", changed, err)
		}
		if again := versionOf(t, c, "", o, name); again != version {
			t.Errorf("round %d: an equal bundle was written again", round)
		}
	}
}

func checkInjected(t *testing.T, o client.Object, bundle []byte) {
	t.Helper()
	configs := clientConfigs(t, o)
	for hook, config := range configs {
		if !bytes.Equal(config.CABundle, bundle) {
			t.Errorf("%s lacks the bundle", hook)
		}
	}
	if s := configs["service.example.dev"].Service; s == nil || s.Name != "hook" || *s.Path != path || *s.Port != port {
		t.Errorf("the service was changed to %v", s)
	}
	if u := configs["url.example.dev"].URL; u == nil || *u != url {
		t.Errorf("the url was changed to %v", u)
	}
	if o.GetLabels()["a"] != "b" {
		t.Errorf("the labels were changed to %v", o.GetLabels())
	}
	for _, entry := range o.GetManagedFields() {
		if entry.Manager != "tekgate-certs" {
			continue
		}
		owned := entry.FieldsV1.GetRawString()
		for _, foreign := range []string{"f:service", "f:url", "f:rules", "f:labels", "f:sideEffects"} {
			if strings.Contains(owned, foreign) {
				t.Errorf("tekgate-certs owns %s: %s", foreign, owned)
			}
		}
		return
	}
	t.Error("no managed fields belong to tekgate-certs")
}

func testMissingConfiguration(t *testing.T, c client.Client) {
	for _, inject := range []injectFunc{certs.InjectMutating, certs.InjectValidating} {
		_, err := inject(t.Context(), c, "absent", []byte("x"))
		if err == nil || !strings.Contains(err.Error(), "`tekgate install` creates it") {
			t.Errorf("got %v", err)
		}
	}
}
