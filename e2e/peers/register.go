package peers

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Unregister deletes Kyverno's webhook configurations after Stop; while Kyverno runs, it
// restores them. The other servers do not register themselves.
func (s *Server) Unregister(ctx context.Context) error {
	if s.Name != Kyverno {
		return nil
	}
	managed := client.MatchingLabels{"webhook.kyverno.io/managed-by": "kyverno"}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		all := object("admissionregistration.k8s.io/v1", kind, "", "")
		if err := s.direct.DeleteAllOf(ctx, all, managed); err != nil {
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
