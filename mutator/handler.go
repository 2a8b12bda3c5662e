package mutator

import (
	"context"
	"net/http"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var _ admission.Handler = &Mutator{}

// Handle answers one admission request. It looks at creations of whole objects,
// and lets everything else pass as it is; of updates see reapply.
//
// Dry runs are treated like all others, and those of Tasks, Pipelines and
// StepActions by Tekton's controller are the only ones of their kinds that are:
// what is stored stays as it is.
func (m *Mutator) Handle(ctx context.Context, req admission.Request) admission.Response {
	kind, jsonPatch := schema.GroupVersionKind(req.Kind), admissionv1.PatchTypeJSONPatch
	if req.SubResource != "" || !Matches(kind) {
		return admission.Allowed("")
	}
	if req.Operation == admissionv1.Update {
		return m.reapply(ctx, kind, req)
	}
	if req.Operation != admissionv1.Create {
		return admission.Allowed("")
	}
	resolved := req.DryRun != nil && *req.DryRun && req.UserInfo.Username == m.Controller
	if !resolved && slices.Contains(stored, kind) {
		return admission.Allowed("")
	}
	w := m.works.get()
	defer m.works.put(w)
	out, err := m.mutate(ctx, Request{
		Kind: kind, Namespace: req.Namespace, Raw: req.Object.Raw, Resolved: resolved, authored: true,
	}, w)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	res := admission.Allowed("").WithWarnings(out.Warnings...)
	if len(out.Patch) > 0 {
		res.Patch, res.PatchType = out.Patch, &jsonPatch
	}
	if did := out.Did(); len(did) > 0 {
		// The API server puts the webhook's name and a slash before each key,
		// and drops keys that have a prefix already.
		res.AuditAnnotations = did
	}
	return res
}
