package mutator

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// reapply answers an update of a run that the rules changed when it was created.
//
// Who applies a manifest once more, as GitOps tools do all day, sends steps that
// lack what the rules added, and Tekton since v0.62 refuses the update for it,
// where without Tekgate it would find nothing changed. So the same is added once
// more, if the result says nothing that is not stored already. An update thereby
// never gains anything: it stays what it is, or becomes none.
func (m *Mutator) reapply(ctx context.Context, kind schema.GroupVersionKind, req admission.Request) admission.Response {
	if !slices.Contains(runs, kind) {
		return admission.Allowed("")
	}
	old, err := object.DecodeAuthored(req.OldObject.Raw, nil)
	if err != nil || !marked(old) {
		return admission.Allowed("")
	}
	fresh, err := object.DecodeAuthored(req.Object.Raw, nil)
	if err != nil || reflect.DeepEqual(fresh["spec"], old["spec"]) {
		return admission.Allowed("")
	}
	out, err := m.Mutate(ctx, Request{
		Kind: kind, Namespace: req.Namespace, Raw: req.Object.Raw, authored: true, before: old,
	})
	if err != nil || !holds(old["spec"], out.Object["spec"]) {
		return admission.Allowed("")
	}
	return admission.Patched("", slices.DeleteFunc(out.Operations(), func(o jsonpatch.Operation) bool {
		return !strings.HasPrefix(o.Path, "/spec/")
	})...)
}

// marked tells whether the rules have changed an object.
func marked(fields map[string]any) bool {
	var r object.Reader
	return r.Text(r.Fields(r.Fields(fields, "metadata"), "annotations"), wellknown.MutatedKey) != ""
}

// holds tells whether all that part says stands in whole, too. What Tekton's
// defaults have added does not count.
func holds(whole, part any) bool {
	switch part := part.(type) {
	case nil:
		return true
	case map[string]any:
		fields, ok := whole.(map[string]any)
		for key, value := range part {
			if !holds(fields[key], value) {
				return false
			}
		}
		return ok
	case []any:
		list, ok := whole.([]any)
		if !ok || len(list) != len(part) {
			return false
		}
		for i := range part {
			if !holds(list[i], part[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(whole, part)
}
