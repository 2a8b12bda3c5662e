package peers

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Unregister takes away what makes the API server call Kyverno, which writes its
// registration itself and mends it, and so is stopped first. The others have none.
func (s *Server) Unregister(ctx context.Context) error {
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
