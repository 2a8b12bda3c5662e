package certmanager_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name}
}

func issuer(name string, config cmv1.IssuerConfig) *cmv1.Issuer {
	return &cmv1.Issuer{ObjectMeta: named(name), Spec: cmv1.IssuerSpec{IssuerConfig: config}}
}

// objects are a self-signed CA, a leaf that it signs, and a webhook that trusts it.
func objects() []client.Object {
	ca := cmv1.CertificateSpec{
		SecretName: "ca", IsCA: true, CommonName: "a CA", IssuerRef: cmmeta.IssuerReference{Name: "self"},
		PrivateKey: &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 256},
	}
	leaf := cmv1.CertificateSpec{
		SecretName: "leaf", DNSNames: []string{"hook.default.svc"}, IssuerRef: cmmeta.IssuerReference{Name: "ca"},
	}
	url, none := "https://127.0.0.1:1", admissionv1.SideEffectClassNone
	return []client.Object{
		issuer("self", cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}}),
		&cmv1.Certificate{ObjectMeta: named("ca"), Spec: ca},
		issuer("ca", cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}),
		&cmv1.Certificate{ObjectMeta: named("leaf"), Spec: leaf},
		&admissionv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{
				Name:        "mutate.example.com",
				Annotations: map[string]string{cmv1.WantInjectAnnotation: "default/leaf"},
			},
			Webhooks: []admissionv1.MutatingWebhook{{
				Name: "mutate.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none,
				ClientConfig: admissionv1.WebhookClientConfig{URL: &url},
			}},
		},
	}
}

// What is run is cert-manager: a chain of a self-signed CA and a leaf is issued, and
// its CA injected.
func TestIssues(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	controllers := certmanager.Start(t, c)
	k, err := kube.Client(c.Config, cmv1.AddToScheme, corev1.AddToScheme, admissionv1.AddToScheme)
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objects() {
		if err := k.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	ca, leaf := &corev1.Secret{}, &corev1.Secret{}
	err = wait.PollUntilContextTimeout(
		t.Context(),
		100*time.Millisecond,
		time.Minute,
		true,
		func(ctx context.Context) (bool, error) {
			return k.Get(ctx, client.ObjectKey{Namespace: "default", Name: "ca"}, ca) == nil &&
				k.Get(ctx, client.ObjectKey{Namespace: "default", Name: "leaf"}, leaf) == nil, nil
		},
	)
	if err != nil {
		t.Fatalf("nothing was issued: %v; the log:\n%s", err, controllers.Log())
	}
	if len(leaf.Data["tls.key"]) == 0 || !bytes.Equal(leaf.Data["ca.crt"], ca.Data["tls.crt"]) {
		t.Errorf("the leaf's Secret has the keys %d, and its ca.crt is not the CA", len(leaf.Data))
	}
	configuration := &admissionv1.MutatingWebhookConfiguration{}
	err = wait.PollUntilContextTimeout(
		t.Context(),
		100*time.Millisecond,
		time.Minute,
		true,
		func(ctx context.Context) (bool, error) {
			if err := k.Get(ctx, client.ObjectKey{Name: "mutate.example.com"}, configuration); err != nil {
				return false, err
			}
			return bytes.Equal(configuration.Webhooks[0].ClientConfig.CABundle, leaf.Data["ca.crt"]), nil
		},
	)
	if err != nil {
		t.Errorf("the CA was not injected: %v; the log:\n%s", err, controllers.Log())
	}
}
