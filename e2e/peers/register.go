package peers

import (
	"context"
	"encoding/base64"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// register makes the API server call the server as a registration says, at its
// address.
func (s *Server) register(ctx context.Context, direct client.Client, registration string) error {
	configurations, err := read("the registration of "+s.Name, strings.NewReader(registration))
	if err != nil {
		return err
	}
	return s.install(ctx, direct, configurations)
}

// install points configurations of webhooks at the server and creates them, with
// failurePolicy Fail, so that no failure goes unnoticed. Unregister takes them away.
func (s *Server) install(ctx context.Context, direct client.Client, configurations []*unstructured.Unstructured) error {
	for _, configuration := range configurations {
		hooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
		for _, h := range hooks {
			hook, _ := h.(map[string]any)
			path, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "path")
			hook["clientConfig"] = map[string]any{"url": "https://" + s.Address + path, "caBundle": base64.StdEncoding.EncodeToString(s.CA)}
			hook["failurePolicy"] = "Fail"
		}
		if err := unstructured.SetNestedSlice(configuration.Object, hooks, "webhooks"); err != nil {
			return err
		}
		if err := create(ctx, direct, configuration); err != nil {
			return err
		}
		s.registered = append(s.registered, configuration)
	}
	s.direct = direct
	return nil
}

// Unregister takes away what makes the API server call the server. Kyverno, which
// writes its registration itself and mends it, is stopped first.
func (s *Server) Unregister(ctx context.Context) error {
	for _, configuration := range s.registered {
		if err := client.IgnoreNotFound(s.direct.Delete(ctx, configuration)); err != nil {
			return err
		}
	}
	s.registered = nil
	if s.Name != Kyverno {
		return nil
	}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		all := object("admissionregistration.k8s.io/v1", kind, "", "")
		if err := s.direct.DeleteAllOf(ctx, all, client.MatchingLabels{"webhook.kyverno.io/managed-by": "kyverno"}); err != nil {
			return err
		}
	}
	return nil
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}
