package certmanager_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
)

const issue = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self, namespace: default}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ca, namespace: default}
spec: {secretName: ca, isCA: true, commonName: a CA, issuerRef: {name: self}, privateKey: {algorithm: ECDSA, size: 256}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ca, namespace: default}
spec: {ca: {secretName: ca}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: leaf, namespace: default}
spec: {secretName: leaf, dnsNames: [hook.default.svc], issuerRef: {name: ca}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: mutate.example.com, annotations: {cert-manager.io/inject-ca-from: default/leaf}}
webhooks:
- name: mutate.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {url: "https://127.0.0.1:1"}
`

// What is run is cert-manager: a chain of a self-signed CA and a leaf is issued, and
// its CA injected.
func TestIssues(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	controllers := certmanager.Start(t, c)
	k, err := client.New(c.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for document := range bytes.SplitSeq([]byte(issue), []byte("\n---\n")) {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := k.Create(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	ca, leaf := &corev1.Secret{}, &corev1.Secret{}
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return k.Get(ctx, client.ObjectKey{Namespace: "default", Name: "ca"}, ca) == nil &&
			k.Get(ctx, client.ObjectKey{Namespace: "default", Name: "leaf"}, leaf) == nil, nil
	})
	if err != nil {
		t.Fatalf("nothing was issued: %v; the log:\n%s", err, controllers.Log())
	}
	if len(leaf.Data["tls.key"]) == 0 || !bytes.Equal(leaf.Data["ca.crt"], ca.Data["tls.crt"]) {
		t.Errorf("the leaf's Secret has the keys %d, and its ca.crt is not the CA", len(leaf.Data))
	}
	configuration := &unstructured.Unstructured{}
	configuration.SetAPIVersion("admissionregistration.k8s.io/v1")
	configuration.SetKind("MutatingWebhookConfiguration")
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		if err := k.Get(ctx, client.ObjectKey{Name: "mutate.example.com"}, configuration); err != nil {
			return false, err
		}
		hooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
		bundle, _, _ := unstructured.NestedString(hooks[0].(map[string]any), "clientConfig", "caBundle")
		return bundle == base64.StdEncoding.EncodeToString(leaf.Data["ca.crt"]), nil
	})
	if err != nil {
		t.Errorf("the CA was not injected: %v; the log:\n%s", err, controllers.Log())
	}
}
