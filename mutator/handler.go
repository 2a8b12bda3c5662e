package mutator

import (
	"context"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var _ admission.Handler = &Mutator{}

// Handle answers one admission request. It looks at creations of whole objects
// alone and lets everything else pass as it is.
//
// Dry runs are treated like all others: Tekton's controller creates Tasks that
// it fetched by a dry run and goes on with what the webhooks made of them.
func (m *Mutator) Handle(ctx context.Context, req admission.Request) admission.Response {
	kind := schema.GroupVersionKind(req.Kind)
	if req.Operation != admissionv1.Create || req.SubResource != "" || !Matches(kind) {
		return admission.Allowed("")
	}
	out, err := m.Mutate(ctx, kind, req.Namespace, req.Object.Raw)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	res := admission.Patched("", out.Patch...).WithWarnings(out.Warnings...)
	if len(out.Did) > 0 {
		// The API server puts the webhook's name and a slash before each key,
		// and drops keys that have a prefix already.
		res.AuditAnnotations = out.Did
	}
	return res
}
