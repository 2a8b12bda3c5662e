package mutator

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/warnings"
)

var _ admission.Handler = &Mutator{}

// Handle answers one admission request. It looks at creations of whole objects,
// and lets everything else pass as it is; of updates see reapply and store.
//
// Dry runs are treated like all others. Those of Tasks, Pipelines and StepActions by
// Tekton's controller are not stored, but run: see Request.Resolved.
func (m *Mutator) Handle(ctx context.Context, req admission.Request) admission.Response {
	kind := schema.GroupVersionKind(req.Kind)
	if req.SubResource != "" || !Matches(kind) {
		return admission.Allowed("")
	}
	creation := req.Operation == admissionv1.Create
	resolved := creation && req.DryRun != nil && *req.DryRun && req.UserInfo.Username == m.Controller
	switch {
	case slices.Contains(stored, kind) && !resolved:
		return m.store(ctx, kind, req)
	case req.Operation == admissionv1.Update:
		return m.reapply(ctx, kind, req)
	case !creation:
		return admission.Allowed("")
	}
	return m.answer(ctx, Request{
		Kind: kind, Namespace: req.Namespace, Raw: req.Object.Raw, Resolved: resolved, authored: true,
	})
}

// answer applies the rules to the object of an admission request.
func (m *Mutator) answer(ctx context.Context, req Request) admission.Response {
	w := m.works.get()
	defer m.works.put(w)
	out, err := m.mutate(ctx, req, w)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	res := admission.Allowed("").WithWarnings(
		warnings.Fit(out.Warnings, warnings.Mutating, out.MoreWarnings, moreWarnings)...)
	if len(out.Patch) > 0 {
		jsonPatch := admissionv1.PatchTypeJSONPatch
		res.Patch, res.PatchType = out.Patch, &jsonPatch
	}
	if did := out.Did(); len(did) > 0 {
		// The API server puts the webhook's name and a slash before each key,
		// and drops keys that have a prefix already.
		res.AuditAnnotations = did
	}
	return res
}

// moreWarnings is the last warning of an answer that has no room for all.
func moreWarnings(n int) string {
	return fmt.Sprintf("there are %d more warnings: see `tekgate mutate -f FILE --explain`", n)
}
