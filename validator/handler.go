package validator

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/object"
)

var _ admission.Handler = &Validator{}

// Handle answers one admission request. It judges creations, and updates that
// change the spec, and lets everything else pass.
func (v *Validator) Handle(ctx context.Context, req admission.Request) admission.Response {
	kind := schema.GroupVersionKind(req.Kind)
	if req.SubResource != "" || !Matches(kind) || (req.Operation != admissionv1.Create && req.Operation != admissionv1.Update) {
		return admission.Allowed("")
	}
	fields, err := object.Decode(req.Object.Raw)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decoding %s: %w", kind.Kind, err))
	}
	if isDeleted(fields) || (req.Operation == admissionv1.Update && sameSpec(fields, req.OldObject.Raw)) {
		return admission.Allowed("")
	}
	out := v.judge(ctx, kind, req.Namespace, fields)
	res := admission.Allowed("")
	if len(out.Denied) > 0 {
		res = admission.Denied(denial(kind.Kind, out.Denied))
	}
	for _, finding := range out.Warned {
		res = res.WithWarnings(finding.String())
	}
	return res.WithWarnings(out.Warnings...)
}

func isDeleted(fields map[string]any) bool {
	var r object.Reader
	return r.Fields(fields, "metadata")["deletionTimestamp"] != nil
}

// sameSpec reports false where the old object cannot be read: then there is
// nothing to compare with, and the new one is judged.
func sameSpec(fields map[string]any, oldRaw []byte) bool {
	old, err := object.Decode(oldRaw)
	return err == nil && reflect.DeepEqual(old["spec"], fields["spec"])
}
